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
from trainer.comparison.plan import FROZEN_ARCHITECTURES, LITE0, Plan
from trainer.comparison.transfer import TransferClassifier
from trainer.data.split import Part
from trainer.errors import WeightsError
from trainer.export.quantization import quantize
from trainer.spec import Network
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
    """A classifier to fit and measure: the name of its row, what it ``sees``, and how it is made."""

    name: str
    sees: str
    make: Callable[[], ComparedClassifier]
    keep: bool = True
    """Whether its row is kept for the next run; not for bundles, since another bundle may have the same name."""


def varied(training: LabelledFields, plan: Plan) -> LabelledFields:
    """Training fields as they are, and in as many variants as the networks get."""
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
    """MobileNetV2 of each width by each preprocessing, an ensemble of two seeds of the widest, EfficientNet-Lite0."""

    def trained(
        alpha: float, preprocessing: str, seed: int, network: Network = Network.MOBILENET_V2, weights: str | None = None
    ) -> Int8Network:
        run = out / f"{network}-{alpha:g}-{preprocessing.replace('@', '-')}-{seed}"
        if not (run / WEIGHTS).exists():
            options = TrainOptions(
                data=data.as_posix(),
                out=run.as_posix(),
                description=description,
                network=network,
                alpha=alpha,
                weights=weights or plan.weights[alpha],
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
    yield Candidate(
        f"{LITE0}, int8",
        usual,
        lambda: trained(1.0, usual, plan.seed, Network.EFFICIENTNET_LITE0, _given_weights(plan, LITE0)),
    )


def transfer_candidates(parts: Mapping[Part, MeasuredPart], plan: Plan) -> Iterator[Candidate]:
    """Other architectures, frozen, with a linear head."""

    def transferred(name: str) -> ComparedClassifier:
        weights = _given_weights(plan, name)
        return TransferClassifier(name, weights, varied(parts[Part.TRAIN].clean, plan), parts[Part.VALIDATION].clean)

    for name in FROZEN_ARCHITECTURES:
        yield Candidate(f"{name}, frozen, linear head", "RGB", partial(transferred, name))


def _given_weights(plan: Plan, name: str) -> str:
    if (weights := plan.others.get(name)) is None:
        raise WeightsError("no ImageNet weights for it were given", remedy=f"Give --other {name}=WEIGHTS.")
    return weights
