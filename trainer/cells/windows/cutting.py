"""Cuts the window for the network out of a canvas: as the device does, or turned, scaled and shifted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.cells import CELL_WINDOW_UM
from trainer.cells.windows.canvases import CANVAS_PX, UM_PER_PIXEL

WINDOW_PX = round(CELL_WINDOW_UM / UM_PER_PIXEL)

_SCALE_SIGMA = 0.06
"""Scales are estimated from red cells, which differ by this much between patients."""
_SHIFT_SIGMA_PX = 1.5
"""The middle of a nucleus is found to within this distance."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The position of a window on its canvas. The default is the device's."""

    degrees: float = 0.0
    """Anticlockwise."""
    scale: float = 1.0
    """How much larger than its size the cell appears."""
    shift_px: tuple[float, float] = (0.0, 0.0)
    """How far the cell moves to the right and down, in pixels of the window."""
    mirrored: bool = False
    """Whether left and right are exchanged, after all other changes."""


AS_ON_DEVICE = Placement()


def random_placement(rng: np.random.Generator) -> Placement:
    """Any direction, mirrored or not, with scale and shift as uncertain as the device's own."""
    return Placement(
        degrees=float(rng.uniform(0, 360)),
        scale=float(np.exp(rng.normal(0, _SCALE_SIGMA))),
        shift_px=(float(rng.normal(0, _SHIFT_SIGMA_PX)), float(rng.normal(0, _SHIFT_SIGMA_PX))),
        mirrored=bool(rng.random() < 0.5),
    )


def cut_canvas(canvas: NDArray[np.uint8], placement: Placement = AS_ON_DEVICE) -> NDArray[np.uint8]:
    """The window of a uint8 RGB (160, 160, 3) canvas: uint8 RGB (96, 96, 3), a new array.

    Raises ``ValueError`` for a canvas of another shape.
    """
    if canvas.shape != (CANVAS_PX, CANVAS_PX, 3):
        raise ValueError(f"a canvas has the shape {(CANVAS_PX, CANVAS_PX, 3)}, not {canvas.shape}")
    margin = (CANVAS_PX - WINDOW_PX) // 2
    if placement == AS_ON_DEVICE:
        return canvas[margin:-margin, margin:-margin].copy()
    middle = (CANVAS_PX - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), placement.degrees, placement.scale)
    matrix[:, 2] += np.asarray(placement.shift_px) - margin
    if placement.mirrored:
        matrix[0] *= -1
        matrix[0, 2] += WINDOW_PX - 1
    window = cv2.warpAffine(
        canvas, matrix, (WINDOW_PX, WINDOW_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(window, np.uint8)
