"""The cells of a reading that look most like blasts, cut out of its frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import Cell

FOREMOST_COUNT = 10
CROP_PX = 96
"""Side of a cell's picture: what a network of cells sees, and some 3 kB."""

_SIDES_PER_NUCLEUS = 2.0
"""Side of the square around a cell whose scale is unknown, in diameters of its nucleus."""

_EMPTY_LEVEL = 225
"""Grey of what lies beyond the edge of the picture: as light as a smear's background."""


@dataclass(frozen=True, slots=True, eq=False)
class FramePart:
    """A frame or a part of it, at its resolution or a lower one."""

    pixels: NDArray[np.uint8]
    """uint8 (h, w, 3), not turned, in any order of colours."""
    px_per_frame_px: tuple[float, float] = (1.0, 1.0)
    """Down and across."""
    top_px: float = 0.0
    left_px: float = 0.0
    """Where it begins, in pixels of the frame."""


def foremost(cells: Sequence[Cell]) -> tuple[int, ...]:
    """Indices of the cells with the highest probability of being a blast, the highest first; at most ten."""
    scores = [(-cell.blast_ratio, index) for index, cell in enumerate(cells) if cell.blast_ratio is not None]
    return tuple(index for _, index in sorted(scores)[:FOREMOST_COUNT])


def side_px(cell: Cell) -> float:
    """Side of the square around a cell that shows all of it, in pixels of the frame."""
    if cell.window_side_px is not None:
        return cell.window_side_px
    return _SIDES_PER_NUCLEUS * max(cell.width_px or 0, cell.height_px or 0, math.sqrt(cell.nucleus_area_px))


def cut_crops(part: FramePart, cells: Sequence[Cell], *, turned: bool = False) -> NDArray[np.uint8]:
    """The squares around cells side by side: uint8 (96, 96 · cells, 3), with the part's order of colours.

    What lies beyond the part is light grey. ``turned`` turns each clockwise, as the picture of its field is.
    """
    crops = [_crop(part, cell) for cell in cells]
    if turned:
        crops = [np.asarray(cv2.rotate(crop, cv2.ROTATE_90_CLOCKWISE), dtype=np.uint8) for crop in crops]
    return np.hstack(crops)


def _crop(part: FramePart, cell: Cell) -> NDArray[np.uint8]:
    down, across = part.px_per_frame_px
    half = side_px(cell) / 2
    top, left = round((cell.y_px - half - part.top_px) * down), round((cell.x_px - half - part.left_px) * across)
    height, width = max(1, round(2 * half * down)), max(1, round(2 * half * across))
    square = np.full((height, width, 3), _EMPTY_LEVEL, np.uint8)
    seen = part.pixels[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    square[max(0, -top) :, max(0, -left) :][: seen.shape[0], : seen.shape[1]] = seen
    how = cv2.INTER_AREA if min(height, width) > CROP_PX else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (CROP_PX, CROP_PX), interpolation=how), dtype=np.uint8)
