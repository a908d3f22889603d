"""Finds the cell in a picture in which someone cut it out on black: nothing of the smear is left around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.cell_stain import MAX_BLACK_LEVEL


def cell_mask(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mask of the cell in a cut-out picture, uint8 RGB (h, w, 3): uint8 (h, w), 255 where the cell is.

    It has no specks of less than 3 px: the agent's mask, of a window, may be coarser, and a variant must lose nothing.
    """
    mask = np.where(rgb.max(axis=2) > MAX_BLACK_LEVEL, 255, 0).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
