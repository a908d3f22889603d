"""Finds the temperature and the thresholds of a cells bundle through its int8 file. Uses validation cells only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from edge_agent.inference import Classifier
from edge_agent.inference.probabilities import blast_first
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import TYPES
from trainer.cells.windows.canvas_windows import cut_as_on_device, cut_varied
from trainer.export.bundle_files import Calibration
from trainer.networks.int8 import run_int8
from trainer.training.temperature import TEMPERATURE_RANGE
from trainer.training.thresholds import choose_threshold

VARIED_COUNT = 2
"""Varied windows of each validation cell, besides the one that the device cuts."""

_LEAST_PROBABILITY = 1e-12


def calibrate_cells(
    classifier: Classifier,
    canvases: Sequence[NDArray[np.uint8]],
    cells: Sequence[ListedCell],
    *,
    max_unfamiliarity_score: float,
) -> Calibration:
    """Temperature and confidence threshold from nucleated validation cells and their canvases, uint8 RGB (160, 160, 3).

    As with fields, windows as they are and varied ones count alike for the temperature. ``max_unfamiliarity_score`` is
    used as it is.
    """
    clean = run_int8(classifier, canvases, "Validation cells", change=cut_as_on_device)
    varied = [
        run_int8(classifier, canvases, "Varied validation cells", change=cut_varied, seed=seed)
        for seed in range(VARIED_COUNT)
    ]
    possible = np.stack([possible_types(each) for each in cells])
    temperature = fit_cells_temperature(np.concatenate([clean.logits, varied[0].logits]), np.tile(possible, (2, 1)))
    confidences = [blast_first(each.logits, temperature).max(axis=1) for each in (clean, *varied)]
    return Calibration(
        temperature, choose_threshold(confidences[0], np.concatenate(confidences[1:])), max_unfamiliarity_score
    )


def possible_types(cell: ListedCell) -> NDArray[np.bool_]:
    """(9,): which of ``TYPES`` a nucleated cell may be. Some cells are only known not to be blasts."""
    return np.array([each is cell.type if cell.type is not None else each not in _BLASTS for each in TYPES])


_BLASTS = TYPES[:1]


def fit_cells_temperature(logits: NDArray[np.floating], possible: NDArray[np.bool_]) -> float:
    """The temperature with the lowest log loss of the types that each cell may be. Both arguments are (n, 9)."""

    def log_loss(log_temperature: float) -> float:
        probabilities = blast_first(logits, math.exp(log_temperature))
        return -float(np.log(np.maximum((probabilities * possible).sum(axis=1), _LEAST_PROBABILITY)).mean())

    low, high = map(math.log, TEMPERATURE_RANGE)
    return math.exp(minimize_scalar(log_loss, bounds=(low, high), method="bounded").x)
