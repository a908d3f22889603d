"""Measures how much of a field is not background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_ABSORPTION_RATIO = 0.1
"""Share of the background's light that a point must absorb to count as foreground."""

_GRID = 56
"""Points along each side of the field. A red cell is several points wide; camera noise averages out."""
_TILES = 8
"""Tiles along each side, each with a chance of showing some background."""
_STEP = _GRID // _TILES
_MIDDLE = _STEP // 2
_TILE = np.ones((_STEP, _STEP), np.uint8)


def foreground_pct(green: NDArray[np.uint8]) -> float:
    """The share of a field that is darker than its background, from its green channel: uint8 (h, w), 2 px or more.

    Haemoglobin, eosin and azure dyes all absorb green, so cells are dark in it whatever the stain. The background is
    a quadratic surface fitted to the brightest point of each tile, so that uneven light does not count as cells: the
    flat field of B. Likar et al., "Retrospective shading correction based on entropy minimization", Journal of
    Microscopy 197, 2000, with a simpler fit. Where cells leave no gap it is fitted to the lightest parts of the cells,
    and their darker parts still count.
    """
    # Two steps, since OpenCV averages whole pixels several times faster than parts of them.
    half = cv2.resize(green, (green.shape[1] // 2, green.shape[0] // 2), interpolation=cv2.INTER_AREA)
    small = np.asarray(cv2.resize(half, (_GRID, _GRID), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    brightest = cv2.dilate(small, _TILE)[_MIDDLE::_STEP, _MIDDLE::_STEP].ravel().astype(np.float32)
    # No matrix products, whose threads wait for each other on a busy machine.
    background = np.einsum("ij,i->j", _SURFACE, np.einsum("ij,j->i", _FIT, brightest))
    return 100.0 * float(np.count_nonzero(small.ravel() < (1.0 - MIN_ABSORPTION_RATIO) * background)) / small.size


def _along(points: int) -> NDArray[np.float32]:
    """The middles of ``points`` equal parts of [-1, 1]."""
    return ((2.0 * np.arange(points) + 1.0) / points - 1.0).astype(np.float32)


def _terms(points: int) -> NDArray[np.float32]:
    """The terms of a quadratic surface on a square grid over [-1, 1]; shape (points * points, 6).

    They are orthogonal to each other on the tiles, so that each is fitted by itself. numpy's solvers would load a
    library of more than a megabyte for the fit.
    """
    y, x = (axis.ravel() for axis in np.meshgrid(_along(points), _along(points), indexing="ij"))
    square = np.mean(_along(_TILES) ** 2)
    return np.stack([np.ones_like(x), x, y, x * y, x * x - square, y * y - square], axis=1)


_FIT = (_terms(_TILES) / (_terms(_TILES) ** 2).sum(axis=0)).T
_SURFACE = np.ascontiguousarray(_terms(_GRID).T)
