"""'trainer compare': the networks, preprocessings and baselines of the field on one split, in one table.

All are fitted on the same varied training images and measured on the same test images, as they are and moderately
shifted. Networks of ours are trained by the whole recipe but shorter, converted, and measured as the int8 file.
Which one ships is chosen by the validation columns; the test columns say what it is worth.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from scipy.stats import binomtest

from edge_agent.settings import Settings
from trainer.augmentation.augment import augment, shift_moderately
from trainer.comparison.baselines import (
    ARCHITECTURES,
    Ensemble,
    Fields,
    Int8Network,
    Material,
    Rival,
    Transferred,
    colour_histogram,
    random_forest,
    support_vectors,
)
from trainer.comparison.results import COMPARISON, TABLE, Comparison, Row, to_markdown
from trainer.data.dataset import read_files
from trainer.data.description import load_description
from trainer.data.split import Assignment, Part, joined, read_split
from trainer.errors import RunError, WeightsError
from trainer.evaluation.evaluate import truth_of
from trainer.evaluation.intervals import group_interval
from trainer.export.quantization import quantize
from trainer.networks.frozen_features import vary_all
from trainer.progress import console
from trainer.training.run import MODEL, WEIGHTS, TrainOptions, replacing, write_json
from trainer.training.train import train

PLAN = "plan.json"
DENOISE = "median3"
SHIFTS_COUNT = 3
"""Random moderate shifts of each image that is measured."""
TIMED_COUNT = 40


class Plan(Settings):
    """``plan.json``: what is compared on what."""

    split_sha256: str = Field(description="Of the split's file, which holds the images' own hashes.")
    weights: dict[float, str] = Field(description="ImageNet weights of MobileNetV2 by alpha.")
    preprocessings: tuple[str, ...] = Field(
        description="By which the widest is trained; the first one also for the others and for the ensemble."
    )
    variants: int
    epochs: int
    others: dict[str, str] = Field(description="Weights of other architectures by name.")
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Fields of one part, as they are and shifted ``SHIFTS_COUNT`` times in a row, their classes and groups."""

    clean: Material
    shifted: Fields
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    sees: str
    make: Callable[[], Rival]
    keep: bool = True
    """Whether its row is kept: a bundle of the same name may be another one the next time."""


def compare(
    data: Path, description: str | None, split: Path, out: Path, plan: Plan, bundles: Sequence[str] = ()
) -> Comparison:
    """Fit and measure everything, keeping finished rows in ``out`` so that a killed comparison goes on.

    ``bundles`` are measured beside. What cannot be fitted gets a row with the reason. Raises ``TrainerError``.
    """
    described = load_description(description, data)
    assignments = read_split(split, data)
    _take_up(out, plan)
    parts = {part: _read(data, assignments, part, described.codes, plan.seed) for part in Part}
    rows = tuple(
        _row(out, candidate, parts[Part.VALIDATION], parts[Part.TEST])
        for candidate in (
            *_classical(parts[Part.TRAIN].clean, plan),
            *_ours(data, description, split, out, plan),
            *_others(parts, plan),
            *(
                _Candidate(
                    f"{name}, as shipped", "as its manifest says", partial(Int8Network.of_bundle, name), keep=False
                )
                for name in bundles
            ),
        )
    )
    found = Comparison(
        dataset=described.name,
        images_count={part.value: len(parts[part].clean.labels) for part in Part},
        variants_count=plan.variants,
        epochs_count=plan.epochs,
        seed=plan.seed,
        rows=rows,
    )
    write_json(out / COMPARISON, found)
    with replacing(out / TABLE) as file:
        file.write(f"{to_markdown(found)}\n".encode())
    return found


def hash_of_split(split: Path) -> str:
    """sha256 of a split's file. Raises ``DataError``."""
    read_split(split)
    return hashlib.sha256(split.read_bytes()).hexdigest()


def _take_up(out: Path, plan: Plan) -> None:
    """Begin in ``out``, or go on with the same plan there."""
    path = out / PLAN
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, plan)
        return
    try:
        begun = Plan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{path} cannot be read: {error}.", remedy="Name another --out.") from error
    if begun != plan:
        raise RunError(
            f"{out} holds a comparison with other options or another split.",
            remedy="Give the same options to go on with it, name another --out, or remove it.",
        )


def _read(data: Path, assignments: Sequence[Assignment], part: Part, codes: Sequence[str], seed: int) -> _Part:
    chosen = [each for each in assignments if each.part is part]
    files = [each.file for each in chosen]
    fields = read_files(data, files)
    return _Part(
        Material(fields, truth_of(files, codes)),
        np.concatenate([vary_all(fields, shift_moderately, (seed, turn)) for turn in range(SHIFTS_COUNT)]),
        joined([each.twin_group for each in chosen], [file.group for file in files]),
    )


def _varied(material: Material, plan: Plan) -> Material:
    """Training fields as they are and in as many variants as the networks get."""
    turns = [vary_all(material.fields, augment, (plan.seed, 1, turn)) for turn in range(plan.variants)]
    return Material(np.concatenate([material.fields, *turns]), np.tile(material.labels, 1 + plan.variants))


def _classical(training: Material, plan: Plan) -> Iterator[_Candidate]:
    varied = cache(lambda: _varied(training, plan))
    for name, sees, make in (
        ("colour histogram, extra trees", "CIE LAB histogram: colours, no shape", colour_histogram),
        ("support vector machine", "its nuclei in numbers", support_vectors),
        ("random forest", "its nuclei in numbers", random_forest),
    ):
        yield _Candidate(name, sees, partial(lambda make: make(varied(), plan.seed), make))


def _ours(data: Path, description: str | None, split: Path, out: Path, plan: Plan) -> Iterator[_Candidate]:
    """MobileNetV2 of each width by each preprocessing, and an ensemble of two seeds of the widest."""

    def trained(alpha: float, preprocessing: str, seed: int) -> Int8Network:
        run = out / f"mobilenet-v2-{alpha:g}-{preprocessing.replace('@', '-')}-{seed}"
        if not (run / WEIGHTS).exists():
            options = TrainOptions(
                data=data.as_posix(),
                out=run.as_posix(),
                description=description,
                alpha=alpha,
                weights=plan.weights[alpha],
                preprocessing=preprocessing,
                denoise=DENOISE,
                seed=seed,
                test_share=0.1,
                validation_share=0.1,
                variants=plan.variants,
                epochs=plan.epochs,
                teacher=(),
                split=split.as_posix(),
            )
            train(options)
        if not (run / MODEL).exists():
            quantize(run, data)
        return Int8Network.of_run(run)

    widest, usual = max(plan.weights), plan.preprocessings[0]
    for preprocessing in plan.preprocessings:
        name = f"MobileNetV2 {widest:g}, int8"
        yield _Candidate(name, preprocessing, partial(trained, widest, preprocessing, plan.seed))
    yield _Candidate(
        f"two seeds of MobileNetV2 {widest:g}, int8",
        usual,
        lambda: Ensemble([trained(widest, usual, seed) for seed in (plan.seed, plan.seed + 1)]),
    )
    for alpha in sorted(set(plan.weights) - {widest}, reverse=True):
        yield _Candidate(f"MobileNetV2 {alpha:g}, int8", usual, partial(trained, alpha, usual, plan.seed))


def _others(parts: Mapping[Part, _Part], plan: Plan) -> Iterator[_Candidate]:
    def transferred(name: str) -> Rival:
        weights = plan.others.get(name)
        if weights is None:
            raise WeightsError("no ImageNet weights for it were given", remedy="Give --other NAME=WEIGHTS.")
        return Transferred(name, weights, _varied(parts[Part.TRAIN].clean, plan), parts[Part.VALIDATION].clean)

    for name in ARCHITECTURES:
        yield _Candidate(f"{name}, frozen, linear head", "RGB", partial(transferred, name))


def _row(out: Path, candidate: _Candidate, validation: _Part, test: _Part) -> Row:
    slug = re.sub(r"[^a-z0-9.]+", "-", f"{candidate.name} {candidate.sees}".lower()).strip("-")
    path = out / f"{slug}.row.json"
    if candidate.keep and path.exists():
        return Row.model_validate_json(path.read_bytes())
    console.print(f"{candidate.name} ({candidate.sees})")
    try:
        rival = candidate.make()
    except WeightsError as error:
        return Row(name=candidate.name, sees=candidate.sees, reason=error.message)
    right = {
        name: rival.scores(fields).argmax(axis=1) == np.tile(part.clean.labels, len(fields) // len(part.clean.labels))
        for name, part, fields in (
            ("validation_ratio", validation, validation.clean.fields),
            ("validation_shifted_ratio", validation, validation.shifted),
            ("test_ratio", test, test.clean.fields),
            ("test_shifted_ratio", test, test.shifted),
        )
    }
    clean = right["test_ratio"]
    wilson = binomtest(int(clean.sum()), len(clean)).proportion_ci(method="wilson")
    row = Row(
        name=candidate.name,
        sees=candidate.sees,
        **{name: float(each.mean()) for name, each in right.items()},
        test_interval_ratio=(float(wilson.low), float(wilson.high)),
        test_shifted_interval_ratio=group_interval(right["test_shifted_ratio"], np.tile(test.groups, SHIFTS_COUNT)),
        size_bytes=rival.size_bytes,
        latency_ms=_latency_ms(rival, test.clean.fields[:TIMED_COUNT]),
    )
    if candidate.keep:
        write_json(path, row)
    return row


def _latency_ms(rival: Rival, fields: Fields) -> float:
    took_s = []
    for field in fields:
        began = time.perf_counter()
        rival.scores(field[None])
        took_s.append(time.perf_counter() - began)
    return 1e3 * float(np.median(took_s))
