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
from trainer.comparison.plan import OTHER_ARCHITECTURES, Plan
from trainer.comparison.transfer import TransferClassifier
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
    """A classifier to fit and measure: its row's name, what it ``sees``, and how it is made."""

    name: str
    sees: str
    make: Callable[[], ComparedClassifier]
    keep: bool = True
    """Whether its row is kept for the next run; not for bundles, since another bundle may have the same name."""


def varied(training: LabelledFields, plan: Plan) -> LabelledFields:
    """Training fields as they are and in as many variants as the networks get."""
    variants = [vary_all(training.fields, augment, (plan.seed, 1, number)) for number in range(plan.variants)]
    return LabelledFields(np.concatenate([training.fields, *variants]), np.tile(training.labels, 1 + plan.variants))


def classical_candidates(training: LabelledFields, plan: Plan) -> Iterator[Candidate]:
    """Baselines of colours and of measured nuclei."""
    training_variants = cache(lambda: varied(training, plan))
    for name, sees, make in (
        ("colour histogram, extra trees", "CIE LAB histogram: colours, no shape", colour_histogram),
        ("support vector machine", "measured nuclei", support_vectors),
        ("random forest", "measured nuclei", random_forest),
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
        return Int8Network.from_run(run)

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
    """Other architectures, frozen, with a linear head."""

    def transferred(name: str) -> ComparedClassifier:
        weights = plan.others.get(name)
        if weights is None:
            raise WeightsError("no weights were given", remedy="Give --other NAME=WEIGHTS.")
        return TransferClassifier(name, weights, varied(parts[Part.TRAIN].clean, plan), parts[Part.VALIDATION].clean)

    for name in OTHER_ARCHITECTURES:
        yield Candidate(f"{name}, frozen, linear head", "RGB", partial(transferred, name))
