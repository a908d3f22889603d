"""Finds a bundle's familiarity, temperature and thresholds through its int8 file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference import Classifier
from edge_agent.inference.familiarity import Familiarity
from edge_agent.inference.probabilities import softmax
from trainer.augmentation.moderate_shift import shift_moderately
from trainer.augmentation.plausible import vary_plausibly
from trainer.export.bundle_files import Calibration
from trainer.networks.int8 import run_int8
from trainer.training.familiarity import VARIANTS_COUNT, fit_familiarity
from trainer.training.temperature import fit_temperature
from trainer.training.thresholds import choose_threshold, choose_unfamiliarity_limit

SHIFTED_COUNT = 4
"""Random moderate shifts of each validation image for choosing the thresholds."""


def fit_bundle_familiarity(classifier: Classifier, fields: NDArray[np.uint8], seed: int) -> Familiarity:
    """Familiarity with training fields, uint8 RGB (n, 224, 224, 3), each varied several times."""
    outputs = [
        run_int8(
            classifier,
            fields,
            f"Fitting familiarity, {number + 1} of {VARIANTS_COUNT}",
            change=vary_plausibly,
            seed=each,
        )
        for number, each in enumerate(_seeds(seed, VARIANTS_COUNT))
    ]
    return fit_familiarity(np.concatenate([each.descriptions for each in outputs]))


def calibrate(
    classifier: Classifier, familiarity: Familiarity, fields: NDArray[np.uint8], truth: NDArray[np.int64]
) -> Calibration:
    """Temperature and thresholds from validation fields, uint8 RGB (n, 224, 224, 3), and their classes (n,).

    The temperature is fitted to clean and shifted images in equal numbers: if nearly all clean ones are right, they
    alone would give probabilities that are too high for shifted ones.
    """
    clean = run_int8(classifier, fields, "Validation images")
    shifted = [
        run_int8(classifier, fields, "Shifted validation images", change=shift_moderately, seed=seed)
        for seed in range(SHIFTED_COUNT)
    ]
    temperature = fit_temperature(np.concatenate([clean.logits, shifted[0].logits]), np.tile(truth, 2))
    confidences = [softmax(each.logits, temperature).max(axis=1) for each in (clean, *shifted)]
    scores = [familiarity.distances(each.descriptions) for each in (clean, *shifted)]
    return Calibration(
        temperature,
        choose_threshold(confidences[0], np.concatenate(confidences[1:])),
        choose_unfamiliarity_limit(scores[0], np.concatenate(scores[1:])),
    )


def _seeds(seed: int, count: int) -> list[int]:
    """Distinct seeds derived from ``seed``."""
    return [int(each) for each in np.random.SeedSequence(seed).generate_state(count)]
