"""Draws the cells of a reading that look most like blasts, side by side in one picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import Cell

FOREMOST_COUNT = 10
CROP_PX = 96
"""Side of a cell's picture: about as fine as the network's input, and some 3 kB."""


def foremost(cells: Sequence[Cell]) -> tuple[int, ...]:
    """Indices of the cells with the highest probability of being a blast, the highest first; at most ten."""
    scores = [(-cell.blast_ratio, index) for index, cell in enumerate(cells) if cell.blast_ratio is not None]
    return tuple(index for _, index in sorted(scores)[:FOREMOST_COUNT])


def side_by_side(windows: Sequence[NDArray[np.uint8]], *, turned: bool = False) -> NDArray[np.uint8]:
    """The windows of cells, each uint8 RGB (side, side, 3), as one uint8 RGB (96, 96 · windows, 3).

    The network judged these windows. ``turned`` turns each clockwise, like the picture of its field.
    """
    return np.hstack([_square(window, turned=turned) for window in windows])


def _square(window: NDArray[np.uint8], *, turned: bool) -> NDArray[np.uint8]:
    how = cv2.INTER_AREA if window.shape[0] > CROP_PX else cv2.INTER_CUBIC
    square = np.asarray(cv2.resize(window, (CROP_PX, CROP_PX), interpolation=how), np.uint8)
    return np.asarray(cv2.rotate(square, cv2.ROTATE_90_CLOCKWISE), np.uint8) if turned else square
