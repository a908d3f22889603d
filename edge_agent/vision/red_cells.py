"""Red cells as a ruler: their median diameter in pixels.

A human red cell in a dry smear is 7.2 to 7.8 um wide (J. V. Dacie and S. M. Lewis, "Practical Haematology"; B. J.
Bain, "Blood Cells: A Practical Guide"), in every laboratory and under every microscope.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.colour import level_histogram
from edge_agent.vision.stain import Stain
from edge_agent.vision.touching import Contour

DIAMETER_UM = 7.5
DIAMETER_RANGE_UM = (7.2, 7.8)

MIN_COUNT = 5
"""With fewer measured cells there is no ruler."""

MIN_DIAMETER_PX = 8.0
"""Smaller discs are not measured: an error of a pixel would be too large a part of them."""

MAX_DISCS_SPREAD_RATIO = 0.7
MAX_VIEW_RATIO = 0.3
"""Discs that fit into clumps are of one size, within this interquartile distance as a share of the median, and no
larger than this share of the view's shorter side."""

MAX_SPREAD_RATIO = 0.4
"""Beyond this interquartile distance, as a share of the median, the discs are not all red cells."""

SYSTEMATIC_RATIO = 0.16
"""Error of the median diameter of a field's red cells, relative to a person's outlines, in nine of ten fields."""

_MIN_DENSITY = 0.15
"""Density in green from which on a pixel counts as a cell, to find how dense cells are."""

_MIN_CELLS_RATIO = 0.02
_ROWS_STRIDE = 6
_MIN_OUTLINE_PX = 20
_PARENT = 3
"""Index at which OpenCV's tree of contours names the outline around a hole."""
_MAX_LENGTH_RATIO = 4 / 3
_MIN_BOX_RATIO = 0.7
_MIN_CONVEX_RATIO = 0.92
"""A cell that lies alone is about as long as wide, fills its box as a disc does (0.79), and has no waist."""

_GREY_STRIDE = 8
_MAX_GREY_LEVELS = 2
"""A picture whose channels are nowhere further apart is grey: a red cell in it cannot be told from a nucleus."""

_PEAK = np.ones((7, 7), np.uint8)
_MIN_DISCS_COUNT = 3

_MAX_NUCLEAR_RATIO = 0.8
_MAX_NUCLEAR_DENSITY = 0.65
"""Nuclear density, as such and as a share of the density in green, from which on a round cell is a nucleus."""


@dataclass(frozen=True, slots=True)
class RedCells:
    """The red cells of a view."""

    count: int = 0
    """How many cells lie alone and were measured."""
    diameter_px: float | None = None
    """Their median diameter in heights of a pixel; None if it cannot be trusted."""
    low_px: float | None = None
    high_px: float | None = None
    """``low_px`` to ``high_px`` contains the diameter in nine of ten fields."""
    guess_px: float | None = None
    """The diameter within a fifth or so, from clumps of red cells if few lie alone; None if there are none."""


def measure_red_cells(stain: Stain, pixel_aspect: float = 1.0) -> RedCells:
    """Measure the red cells of a view.

    ``pixel_aspect`` is width by height of what one pixel covers. In a grey picture no red cells are measured: only
    their colour tells them from nuclei.
    """
    if _is_grey(stain):
        return RedCells()
    found = _find_cells(stain)
    diameters = np.array(
        [each for contour in found.outlines if (each := _diameter(stain, contour, pixel_aspect)) is not None]
    )
    if diameters.size < MIN_COUNT:
        return RedCells(diameters.size, guess_px=_inscribed_diameter(stain, found.mask, pixel_aspect))
    low, median, high = _quartiles(diameters)
    if high - low > MAX_SPREAD_RATIO * median:
        return RedCells(diameters.size, guess_px=median)
    # The standard error of a median of normally distributed values, from their interquartile distance.
    random_ratio = 1.645 * 1.253 * (high - low) / 1.349 / median / np.sqrt(diameters.size)
    margin = float(np.hypot(SYSTEMATIC_RATIO, random_ratio))
    return RedCells(diameters.size, median, median * (1 - margin), median * (1 + margin), median)


def _quartiles(values: NDArray[np.floating]) -> tuple[float, float, float]:
    # numpy's percentiles take as long as all the rest.
    ordered = np.sort(values)
    low, median, high = (float(ordered[round(share * (ordered.size - 1))]) for share in (0.25, 0.5, 0.75))
    return low, median, high


def _is_grey(stain: Stain) -> bool:
    red, green, blue = cv2.split(np.ascontiguousarray(stain.rgb[::_GREY_STRIDE, ::_GREY_STRIDE]))
    return all(cv2.norm(green, other, cv2.NORM_INF) <= _MAX_GREY_LEVELS for other in (red, blue))


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Cells and clumps of cells."""

    outlines: list[Contour]
    mask: NDArray[np.uint8]
    """uint8 (h, w), 255 on cells and clumps; pale middles of red cells are filled."""


def _find_cells(stain: Stain) -> _Found:
    counts = np.cumsum(level_histogram(stain.green[::_ROWS_STRIDE]))
    of_cells = counts[max(0, math.ceil(stain.level(_MIN_DENSITY, channel=1)) - 1)]
    if of_cells < _MIN_CELLS_RATIO * counts[-1]:
        return _Found([], np.zeros_like(stain.green))
    # The edge of a cell is where it absorbs half of what cells absorb.
    half = stain.density(float(np.searchsorted(counts, of_cells / 2)), channel=1) / 2
    _, raw = cv2.threshold(stain.green, stain.level(half, channel=1), 255, cv2.THRESH_BINARY_INV)
    mask = np.asarray(raw, dtype=np.uint8)
    contours, tree = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    parents = [] if tree is None else tree[0, :, _PARENT].tolist()
    cells: list[Contour] = []
    specks: list[Contour] = []
    holes = []
    for contour, parent in zip(contours, parents, strict=True):
        if parent < 0:
            (cells if len(contour) >= _MIN_OUTLINE_PX else specks).append(np.asarray(contour, dtype=np.int32))
        elif parents[parent] < 0 and len(contours[parent]) >= _MIN_OUTLINE_PX:
            # Contours within a hole are filled together with it.
            holes.append(contour)
    # Drawing holes and specks takes much less time than drawing the cells.
    cv2.drawContours(mask, specks, -1, 0, cv2.FILLED)
    cv2.drawContours(mask, holes, -1, 255, cv2.FILLED)
    return _Found(cells, mask)


def _inscribed_diameter(stain: Stain, mask: NDArray[np.uint8], pixel_aspect: float) -> float | None:
    """Median diameter of the discs that fit into red cells and clumps. The view's edge does not limit the discs."""
    height, width = mask.shape
    # Half the size, and square pixels.
    size = round(width * pixel_aspect / 2), height // 2
    half = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    padded = cv2.copyMakeBorder(half, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    distance = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1])
    peaks = (distance >= cv2.dilate(distance, _PEAK)) & (distance >= MIN_DIAMETER_PX / 4)
    # OpenCV takes its fastest algorithm for labels of 16 bits only.
    _, _, _, centres = cv2.connectedComponentsWithStats(peaks.view(np.uint8), ltype=cv2.CV_16U)
    x, y = centres[1:].astype(int).T
    levels = stain.rgb[np.minimum(2 * y, height - 1), np.minimum((x * width / size[0]).astype(int), width - 1)]
    _, green, _, nuclear = stain.densities_of(levels)
    radii = distance[y, x][nuclear <= np.minimum(_MAX_NUCLEAR_DENSITY, _MAX_NUCLEAR_RATIO * green)]
    if radii.size < _MIN_DISCS_COUNT:
        return None
    low, median, high = _quartiles(radii)
    # Where cells leave no gap, and in dark corners, discs have all sizes or are far too large.
    plausible = high - low <= MAX_DISCS_SPREAD_RATIO * median and 4 * median <= MAX_VIEW_RATIO * min(height, width)
    return 4 * median if plausible else None


def _is_nuclear(stain: Stain, levels: Sequence[float]) -> bool:
    nuclear = stain.nuclear_density(levels)
    return nuclear > min(_MAX_NUCLEAR_DENSITY, _MAX_NUCLEAR_RATIO * stain.density(levels[1], channel=1))


def _diameter(stain: Stain, contour: Contour, pixel_aspect: float) -> float | None:
    """Diameter of a disc with the contour's area; None unless the contour is a red cell that lies alone."""
    left, top, width, height = cv2.boundingRect(contour)
    field_height, field_width = stain.nuclear.shape
    if left == 0 or top == 0 or left + width == field_width or top + height == field_height:
        return None
    length = pixel_aspect * width / height
    if not 1 / _MAX_LENGTH_RATIO < length < _MAX_LENGTH_RATIO:
        return None
    inner = cv2.contourArea(contour)
    area = inner + len(contour) / 2 + 1
    if area < _MIN_BOX_RATIO * width * height or inner < _MIN_CONVEX_RATIO * cv2.contourArea(cv2.convexHull(contour)):
        return None
    box = slice(top, top + height), slice(left, left + width)
    levels = cv2.mean(stain.rgb[box][height // 8 : -(height // 8) or None, width // 8 : -(width // 8) or None])
    if _is_nuclear(stain, levels):
        return None
    diameter = float(np.sqrt(4 * pixel_aspect * area / np.pi))
    return diameter if diameter >= MIN_DIAMETER_PX else None
