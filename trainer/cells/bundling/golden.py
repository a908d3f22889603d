"""The golden vectors of a cells bundle: the outputs that it must give for drawn cells, wherever it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.inference import Classifier
from edge_agent.vision.cell_windows import cut_window
from trainer.cells.windows.canvases import CANVAS_PX, UM_PER_PIXEL
from trainer.cells.windows.cutting import WINDOW_PX
from trainer.export.golden import vectors_of

_SIZE_PX = 2 * CANVAS_PX


def golden_cells(folder: Path, classifier: Classifier) -> bytes:
    """``golden.npz``: one drawn cell of each kind of smear, and what ``vectors_of`` adds. ``folder`` is for drafts."""
    return vectors_of(folder, classifier, np.stack([_draw(seed, label) for seed, label in enumerate(SMEAR_LABELS)]))


def _draw(seed: int, label: str) -> NDArray[np.uint8]:
    """The window of the nucleus nearest to the middle of a drawn smear at a bundle's scale: uint8 RGB (96, 96, 3)."""
    smear, truth = draw_smear(
        np.random.default_rng(seed),
        label,
        size_px=(_SIZE_PX, _SIZE_PX),
        um_per_pixel=UM_PER_PIXEL,
        focus_sigma_px=1.0,
        noise_sigma_levels=0.0,
    )
    middle = _SIZE_PX / 2
    nearest = min(truth.nuclei, key=lambda each: np.hypot(each.x_px - middle, each.y_px - middle))
    return cut_window(smear, (nearest.x_px, nearest.y_px), (WINDOW_PX, WINDOW_PX), WINDOW_PX)
