"""The classifiers that 'trainer compare' fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.augmentation.augment import augment
from trainer.augmentation.variants import vary_all
from trainer.comparison.classical import colour_histogram, random_forest, support_vectors
from trainer.comparison.classifier import ComparedClassifier, Fields, LabelledFields
from trainer.comparison.int8_network import Ensemble, Int8Network
from trainer.comparison.plan import Plan
from trainer.comparison.transfer import ARCHITECTURES, TransferClassifier
from trainer.data.split import Part
from trainer.errors import WeightsError
from trainer.export.quantization import quantize
from trainer.training.options import TrainOptions
from trainer.training.run import MODEL, WEIGHTS
from trainer.training.train import train

DENOISE = "median3"
SHIFTS_COUNT = 3
"""Random moderate shifts of each image that is measured."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredPart:
    """Fields of one part, as they are and shifted ``SHIFTS_COUNT`` times in a row, their classes and groups."""

    clean: LabelledFields
    shifted: Fields
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidate:
    name: str
    sees: str
    make: Callable[[], ComparedClassifier]
    keep: bool = True
    """Whether its row is kept: a bundle of the same name may be another one the next time."""


def varied(material: LabelledFields, plan: Plan) -> LabelledFields:
    """Training fields as they are and in as many variants as the networks get."""
    turns = [vary_all(material.fields, augment, (plan.seed, 1, turn)) for turn in range(plan.variants)]
    return LabelledFields(np.concatenate([material.fields, *turns]), np.tile(material.labels, 1 + plan.variants))


def classical_candidates(training: LabelledFields, plan: Plan) -> Iterator[Candidate]:
    training_variants = cache(lambda: varied(training, plan))
    for name, sees, make in (
        ("colour histogram, extra trees", "CIE LAB histogram: colours, no shape", colour_histogram),
        ("support vector machine", "its nuclei in numbers", support_vectors),
        ("random forest", "its nuclei in numbers", random_forest),
    ):
        yield Candidate(name, sees, partial(lambda make: make(training_variants(), plan.seed), make))


def own_candidates(data: Path, description: str | None, split: Path, out: Path, plan: Plan) -> Iterator[Candidate]:
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
        yield Candidate(name, preprocessing, partial(trained, widest, preprocessing, plan.seed))
    yield Candidate(
        f"two seeds of MobileNetV2 {widest:g}, int8",
        usual,
        lambda: Ensemble([trained(widest, usual, seed) for seed in (plan.seed, plan.seed + 1)]),
    )
    for alpha in sorted(set(plan.weights) - {widest}, reverse=True):
        yield Candidate(f"MobileNetV2 {alpha:g}, int8", usual, partial(trained, alpha, usual, plan.seed))


def transfer_candidates(parts: Mapping[Part, MeasuredPart], plan: Plan) -> Iterator[Candidate]:
    def transferred(name: str) -> ComparedClassifier:
        weights = plan.others.get(name)
        if weights is None:
            raise WeightsError("no ImageNet weights for it were given", remedy="Give --other NAME=WEIGHTS.")
        return TransferClassifier(name, weights, varied(parts[Part.TRAIN].clean, plan), parts[Part.VALIDATION].clean)

    for name in ARCHITECTURES:
        yield Candidate(f"{name}, frozen, linear head", "RGB", partial(transferred, name))
