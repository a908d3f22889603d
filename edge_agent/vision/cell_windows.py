"""Cuts the windows around nuclei that a cells bundle judges, at one physical size whatever the camera's scale."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.cell_image import CellBox, measure_cell_image
from edge_agent.vision.field import MAX_LINEAR_SHRINKING
from edge_agent.vision.red_cells import DIAMETER_UM


def cut_window(
    picture: NDArray[np.uint8],
    centre_px: tuple[float, float],
    size_px: tuple[float, float],
    side_px: int,
    *,
    reduction: int = 1,
) -> NDArray[np.uint8]:
    """The window around ``centre_px`` of a uint8 (h, w, 3) array, as uint8 (side, side, 3) with the same colour order.

    ``centre_px`` is x and y, ``size_px`` width and height of the window, in pixels of ``picture`` after
    ``reduce_areas`` with ``reduction``. Beyond its edge the picture is mirrored.
    """
    width, height = (max(1, round(each)) for each in size_px)
    left, top = round(centre_px[0] - width / 2), round(centre_px[1] - height / 2)
    rows, columns = picture.shape[0] // reduction, picture.shape[1] // reduction
    top_px, bottom_px = (reduction * min(max(0, each), rows) for each in (top, top + height))
    left_px, right_px = (reduction * min(max(0, each), columns) for each in (left, left + width))
    part = reduce_areas(picture[top_px:bottom_px, left_px:right_px], reduction)
    beyond = max(0, -top), max(0, top + height - rows), max(0, -left), max(0, left + width - columns)
    if any(beyond):
        part = np.asarray(cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REFLECT_101), np.uint8)
    return _scale(part, side_px)


def reduce_areas(array: NDArray[np.uint8], reduction: int) -> NDArray[np.uint8]:
    """A uint8 (h, w, 3) array at 1 / ``reduction``, a power of two, as decoding at that size gives it."""
    while reduction > 1:
        array = _halved(array)
        reduction //= 2
    return array


@dataclass(frozen=True, slots=True, eq=False)
class CutWindow:
    """The window of an image of one cell."""

    window: NDArray[np.uint8]
    """uint8 (side, side, 3), in the colour order of the image."""
    centre_px: tuple[float, float]
    """x and y of its centre in the image."""
    nucleus: CellBox | None
    """The nucleus that the window is centred on; None if none was found, and the window is centred on the image."""


def cut_cell(rgb: NDArray[np.uint8], um_per_pixel: float, window_um: float, side_px: int) -> CutWindow:
    """The window around the central nucleus of a uint8 RGB (h, w, 3) image of one cell, mirrored beyond its edge."""
    nucleus = measure_cell_image(rgb, DIAMETER_UM / um_per_pixel).nucleus
    centre = (rgb.shape[1] / 2, rgb.shape[0] / 2) if nucleus is None else nucleus.centre_px
    window_px = window_um / um_per_pixel
    return CutWindow(cut_window(rgb, centre, (window_px, window_px), side_px), centre, nucleus)


def _scale(part: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """``part`` at (side, side, 3). While it stays large enough, areas of 2 x 2 px are averaged: that is fastest."""
    while min(part.shape[:2]) // 2 >= side_px:
        part = _halved(part)
    if part.shape[:2] == (side_px, side_px):
        return np.ascontiguousarray(part)
    how = cv2.INTER_AREA if max(part.shape[:2]) > MAX_LINEAR_SHRINKING * side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (side_px, side_px), interpolation=how), np.uint8)


def _halved(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    high, wide = array.shape[0] // 2, array.shape[1] // 2
    even = array[: 2 * high, : 2 * wide]
    return np.asarray(cv2.resize(even, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)
