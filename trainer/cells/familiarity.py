"""Fits which cells a bundle is familiar with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference import Classifier
from edge_agent.inference.familiarity import Familiarity
from trainer.cells.variation import vary
from trainer.cells.windows import cut_canvas, random_placement
from trainer.networks.int8 import run_int8
from trainer.training.familiarity import fit_familiarity

VARIANTS_COUNT = 3
"""Varied windows of each training cell."""


def fit_cells_familiarity(classifier: Classifier, canvases: Sequence[NDArray[np.uint8]], seed: int) -> Familiarity:
    """Familiarity with training cells, a uint8 RGB (160, 160, 3) canvas each, varied several times."""
    described = [
        run_int8(
            classifier, canvases, f"Fitting familiarity, {number} of {VARIANTS_COUNT}", change=vary_canvas, seed=each
        ).descriptions
        for number, each in enumerate(_seeds(seed), 1)
    ]
    return fit_familiarity(np.concatenate(described))


def vary_canvas(canvas: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A window of a canvas as other laboratories would have taken it: uint8 RGB (96, 96, 3)."""
    return vary(cut_canvas(canvas, random_placement(rng)), rng)


def cut_as_on_device(canvas: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
    """The window of a canvas that the device cuts: uint8 RGB (96, 96, 3)."""
    return cut_canvas(canvas)


def _seeds(seed: int) -> list[int]:
    return [int(each) for each in np.random.SeedSequence(seed).generate_state(VARIANTS_COUNT)]
