"""Cuts the windows around nuclei that a cells bundle judges, at one physical size whatever the camera's scale."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def cut_window(
    rgb: NDArray[np.uint8], centre_px: tuple[float, float], size_px: tuple[float, float], side_px: int
) -> NDArray[np.uint8]:
    """The window around ``centre_px`` of a uint8 RGB (h, w, 3) array, as uint8 RGB (side, side, 3).

    ``centre_px`` is x and y, ``size_px`` width and height of the window, in pixels of ``rgb``. Beyond the edge of the
    picture its pixels are mirrored.
    """
    width, height = (max(1, round(each)) for each in size_px)
    left, top = round(centre_px[0] - width / 2), round(centre_px[1] - height / 2)
    rows, columns = rgb.shape[:2]
    part = rgb[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    beyond = max(0, -top), max(0, top + height - rows), max(0, -left), max(0, left + width - columns)
    part = np.ascontiguousarray(part)
    if any(beyond):
        part = np.asarray(cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REFLECT_101), np.uint8)
    return _scale(part, side_px)


def window_of_image(rgb: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """The centre square of a uint8 RGB (h, w, 3) image of one cell, as uint8 RGB (side, side, 3)."""
    side = min(rgb.shape[:2])
    top, left = ((length - side) // 2 for length in rgb.shape[:2])
    return _scale(np.ascontiguousarray(rgb[top : top + side, left : left + side]), side_px)


def _scale(part: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    if part.shape[:2] == (side_px, side_px):
        return part
    how = cv2.INTER_AREA if min(part.shape[:2]) > side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (side_px, side_px), interpolation=how), np.uint8)
