"""Cuts the windows around nuclei that a cells bundle judges, at one physical size whatever the camera's scale."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.field import MAX_LINEAR_SHRINKING


def cut_window(
    picture: NDArray[np.uint8], centre_px: tuple[float, float], size_px: tuple[float, float], side_px: int
) -> NDArray[np.uint8]:
    """The window around ``centre_px`` of a uint8 (h, w, 3) array, as uint8 (side, side, 3) with the same colour order.

    ``centre_px`` is x and y, ``size_px`` width and height of the window, in pixels of ``picture``. Beyond its edge the
    picture is mirrored.
    """
    width, height = (max(1, round(each)) for each in size_px)
    left, top = round(centre_px[0] - width / 2), round(centre_px[1] - height / 2)
    rows, columns = picture.shape[:2]
    part = picture[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    beyond = max(0, -top), max(0, top + height - rows), max(0, -left), max(0, left + width - columns)
    if any(beyond):
        part = np.asarray(cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REFLECT_101), np.uint8)
    return _scale(part, side_px)


def window_of_image(rgb: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """The centre square of a uint8 RGB (h, w, 3) image of one cell, as uint8 RGB (side, side, 3)."""
    side = min(rgb.shape[:2])
    top, left = ((length - side) // 2 for length in rgb.shape[:2])
    return _scale(rgb[top : top + side, left : left + side], side_px)


def _scale(part: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """``part`` at (side, side, 3). Areas of 2 x 2 px are averaged as long as it stays large enough: that is fastest."""
    while min(half := (part.shape[0] // 2, part.shape[1] // 2)) >= side_px:
        even = part[: 2 * half[0], : 2 * half[1]]
        part = np.asarray(cv2.resize(even, half[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    if part.shape[:2] == (side_px, side_px):
        return np.ascontiguousarray(part)
    how = cv2.INTER_AREA if max(part.shape[:2]) > MAX_LINEAR_SHRINKING * side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (side_px, side_px), interpolation=how), np.uint8)
