"""Makes the cells of all laboratories look alike: one cell, on white, half-way to a standard stain.

A network that sees neighbours, background and the strength of the stain learns to recognise the laboratory by them.
This module keeps only the cell that the window is centred on: the convex hull of its nucleus, with as much cytoplasm as
fits into a margin. By the law of Beer and Lambert a stain's strength is a factor of the optical density. So each
channel's density is scaled towards that of a standard nucleus, but only by the square root of what is missing: pale and
dark nuclei of one laboratory still differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.cells import CELL_WINDOW_UM
from edge_agent.vision.central_nucleus import find_central_nuclei
from edge_agent.vision.colour import LEVELS
from edge_agent.vision.red_cells import DIAMETER_UM
from edge_agent.vision.touching import Contour

Array = NDArray[np.uint8]

WHITE = 235
"""Level of the background, and of everything else that is not the cell."""

STANDARD_DENSITIES = (0.95, 1.25, 0.75)
"""Optical densities of a standard nucleus in red, green and blue: about the mean of the laboratories at hand."""

STANDARD_SHARE = 0.5
"""How far each cell is moved towards the standard densities: the exponent of the factor."""

_MIN_DENSITY = 0.1
_FACTOR_RANGE = (0.3, 4.0)
"""A nucleus paler than this, and a factor beyond these, are not corrected further: they come from no stain."""

_MIN_BACKGROUND = 60
"""With a background darker than this, its noise would count as stain."""

CUT_OUT_BACKGROUND = (232, 228, 235)
"""Levels of red, green and blue that stand for the background of a cell that was cut out on black."""

MAX_BLACK_LEVEL = 12
MIN_BLACK_BORDER_RATIO = 0.9
"""If this share of the border's pixels is no brighter in any channel, the cell was cut out on black."""

MARGIN_RATIO = 9 / 96
SOFTNESS_RATIO = 1.5 / 96
"""In sides of the window: the margin around the nucleus's convex hull, and sigma of the soft edge."""

_SPECK_RATIO = 5 / 96


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The part of a window that is kept, and the nucleus and background that its stain is measured by."""

    background: tuple[int, int, int]
    nucleus: Array
    """255 on the nucleus, else 0; (h, w)."""
    kept: Array
    """255 on the cell; (h, w)."""
    cut_out: bool = False


def standardise_cell(window: Array) -> Array:
    """As ``standardise_cells`` for one uint8 RGB window (h, w, 3); the same shape."""
    image: Array = standardise_cells(window[None])[0]
    return image


def standardise_cells(windows: Array) -> Array:
    """The cell in the middle of each of n uint8 RGB windows (n, h, w, 3) on white, in a standard stain; the same shape.

    Each window is as wide as ``cells.CELL_WINDOW_UM`` and centred on a nucleus, or shows one cell cut out on black. A
    window without a nucleus in its middle gives an image that is white all over: there is no cell, and nothing is
    guessed.

    Each step runs on all windows before the next begins: windows are so small that calls and cache misses take longer
    than the work.
    """
    windows = np.ascontiguousarray(windows)
    found = _find(windows)
    # How much of white is absorbed, so that pixels that are not kept are 0.
    absorbed = np.zeros_like(windows)
    kept = [at for at, each in enumerate(found) if each is not None]
    cells = [each for each in found if each is not None]
    medians = [_median_levels(windows[at], cell.nucleus) for at, cell in zip(kept, cells, strict=True)]
    tables = _tables([each.background for each in cells], medians)
    softness_px = SOFTNESS_RATIO * max(windows.shape[1:3])
    # A kernel cut off at two sigmas takes a third of the time of a whole one.
    kernel = np.asarray(cv2.getGaussianKernel(2 * math.ceil(2 * softness_px) + 1, softness_px), np.float64)
    for at, cell, table in zip(kept, cells, tables, strict=True):
        _absorb(windows[at], cell, table, kernel, absorbed[at])
    return WHITE - absorbed


def _absorb(window: Array, found: _Found, table: Array, kernel: NDArray[np.float64], absorbed: Array) -> None:
    """Write to ``absorbed`` how much of white the cell absorbs, its edge softened by ``kernel`` (2 * reach + 1, 1)."""
    height, width = window.shape[:2]
    left, top, wide, high = cv2.boundingRect(found.kept)
    # The cell takes a third to a half of the window.
    reach_px = len(kernel) // 2
    box = (
        slice(max(0, top - reach_px), min(height, top + high + reach_px)),
        slice(max(0, left - reach_px), min(width, left + wide + reach_px)),
    )
    kept = found.kept[box]
    cell = cv2.LUT(window[box], table)
    if found.cut_out:
        # Black is no stain: it would darken the soft edge.
        cell = cv2.copyTo(cell, kept)
    # GaussianBlur takes twice the time: for bytes, it promises the same last bit on every machine.
    soft = cv2.sepFilter2D(kept, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    absorbed[box] = cv2.multiply(cell, cv2.merge((soft, soft, soft)), scale=1 / 255)


def _find(windows: Array) -> list[_Found | None]:
    """The cell of each window; None where there is none."""
    height, width = windows.shape[1:3]
    margin_px = round(MARGIN_RATIO * max(height, width))
    found: list[_Found | None] = [_of_cut_out(each) if is_cut_out(each) else None for each in windows]
    others = [at for at, each in enumerate(found) if each is None]
    denoised = np.empty((len(others), height, width, 3), np.uint8)
    for at, each in zip(others, denoised, strict=True):
        cv2.medianBlur(windows[at], 3, dst=each)
    nuclei = find_central_nuclei(denoised, DIAMETER_UM / CELL_WINDOW_UM * max(height, width))
    for at, nucleus in zip(others, nuclei, strict=True):
        if nucleus.parts:
            mask = np.zeros((height, width), np.uint8)
            cv2.drawContours(mask, nucleus.parts, -1, 255, cv2.FILLED)
            found[at] = _Found(nucleus.background, mask, _hull(nucleus.parts, mask, margin_px))
    return found


def _hull(parts: Sequence[Contour], nucleus: Array, margin_px: int) -> Array:
    """The convex hull of all parts, dilated by a disc: a pen of that width drawn along it takes a tenth of the time."""
    hull = cv2.convexHull(np.concatenate(parts))
    kept = np.zeros_like(nucleus)
    cv2.fillConvexPoly(kept, hull, 255)
    cv2.polylines(kept, [hull], isClosed=True, color=255, thickness=2 * margin_px + 1)
    return kept


def _of_cut_out(window: Array) -> _Found | None:
    cell = cut_out_mask(window)
    return _Found(CUT_OUT_BACKGROUND, cell, cell, cut_out=True) if cv2.countNonZero(cell) else None


def is_cut_out(window: Array) -> bool:
    """Whether a uint8 RGB image (h, w, 3) shows a cell that was cut out on black, by its border."""
    edges_px = 2 * (window.shape[0] + window.shape[1])
    if np.count_nonzero(window[0, :, 1] > MAX_BLACK_LEVEL) > (1 - MIN_BLACK_BORDER_RATIO) * edges_px + 1:
        # Stop at the first edge that decides: this is asked for every cell, and few are cut out.
        return False
    edges = np.concatenate((window[0], window[-1], window[:, 0], window[:, -1]))
    black = cv2.countNonZero(cv2.inRange(edges[None], _BLACK, _ALMOST_BLACK))
    return black >= MIN_BLACK_BORDER_RATIO * len(edges)


def cut_out_mask(window: Array) -> Array:
    """The cell in an image that ``is_cut_out``: 255 in a uint8 mask (h, w), else 0."""
    red, green, blue = cv2.split(window)
    brightest = cv2.max(cv2.max(red, green), blue)
    cell = cv2.threshold(brightest, MAX_BLACK_LEVEL, 255, cv2.THRESH_BINARY)[1]
    speck_px = max(1, round(_SPECK_RATIO * max(window.shape[:2])))
    cell = cv2.morphologyEx(cell, cv2.MORPH_OPEN, np.ones((speck_px, speck_px), np.uint8))
    return np.asarray(cell, np.uint8)


def _median_levels(window: Array, mask: Array) -> Array:
    """Median red, green and blue where the non-empty mask is 255: uint8 (3,). Every other pixel is enough."""
    left, top, width, height = cv2.boundingRect(mask)
    for stride in (2, 1):
        box = slice(top, top + height, stride), slice(left, left + width, stride)
        pixels = window.view(_PIXEL)[..., 0][box][mask[box] > 0].view(np.uint8).reshape(-1, 3)
        if len(pixels):
            break
    median: Array = np.sort(pixels, axis=0, kind="stable")[len(pixels) // 2]
    return median


def _tables(backgrounds: Sequence[tuple[int, int, int]], nuclei: Sequence[Array]) -> Array:
    """Tables from a level to the part of white absorbed in the standard stain, per channel: uint8 (n, 1, 256, 3)."""
    if not nuclei:
        return np.empty((0, 1, LEVELS, 3), np.uint8)
    white = np.maximum(np.array(backgrounds, np.float32), _MIN_BACKGROUND) + 1
    densities = np.maximum(np.log(white / (np.array(nuclei, np.float32) + 1)), _MIN_DENSITY)
    factors = np.minimum(np.maximum(_STANDARD / densities, _FACTOR_RANGE[0]), _FACTOR_RANGE[1])
    transmissions = _LEVELS / white[:, :, None]
    np.minimum(transmissions, 1, out=transmissions)
    absorbed = (WHITE + 1) * (1 - transmissions ** (factors**STANDARD_SHARE)[:, :, None])
    levels = np.rint(np.minimum(absorbed, WHITE)).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(0, 2, 1))[:, None]


_BLACK, _ALMOST_BLACK = (0, 0, 0), (MAX_BLACK_LEVEL,) * 3
_PIXEL = np.dtype((np.void, 3))
"""A pixel as one item: numpy picks three bytes at once much faster than one byte three times."""
_STANDARD = np.array(STANDARD_DENSITIES, np.float32)
_LEVELS = np.arange(1, LEVELS + 1, dtype=np.float32)
