"""Pictures of single cells that someone cut out on black: nothing of the smear is left around them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_BLACK_LEVEL = 12
"""Highest level of any channel that counts as black: a JPEG of black is not quite 0."""

_MIN_BLACK_BORDER_RATIO = 0.9


def is_cut_out(rgb: NDArray[np.uint8]) -> bool:
    """Whether nearly all of the outermost pixels of a uint8 RGB (h, w, 3) picture are black."""
    border = np.concatenate([rgb[0], rgb[-1], rgb[1:-1, 0], rgb[1:-1, -1]])
    return bool((border.max(axis=1) <= MAX_BLACK_LEVEL).mean() >= _MIN_BLACK_BORDER_RATIO)


def cell_mask(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The cell of such a picture: uint8 (h, w), 255 where it is, without specks of less than 3 px."""
    mask = np.where(rgb.max(axis=2) > MAX_BLACK_LEVEL, 255, 0).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
