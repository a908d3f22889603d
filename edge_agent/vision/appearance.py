"""The appearance of a field in a few simple figures: its colours, its texture, and the size of its cells.

The figures decide nothing. They show whether a field that is unlike the training images differs in a simple way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.foreground import MIN_ABSORPTION_RATIO

_BRIGHTEST_RATIO = 0.75
"""The brightest quarter is background unless the smear is packed with cells."""

_ROWS_STRIDE = 4
"""Every fourth row is enough for medians, which take longer than all the rest."""

_MIN_SHARE_RATIO = 0.002
"""Share of the field below which something is too little to be measured."""

_STRIP_ROWS = 8 * _ROWS_STRIDE

_CYTOPLASM = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
"""The area this close to a nucleus is cytoplasm, not red cells."""

_FINE_SIGMA_PX, _COARSE_SIGMA_PX = 1.0, 2.0

_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_NOISE_GAIN = 6.0 * 0.6745
"""The root of the kernel's sum of squares, times the median absolute value of a standard normal variable."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """Figures of one field; None where there is nothing to measure."""

    background_lightness_delta_e: float | None
    """L* of CIE LAB (D65) from 0 (black) to 100 (white). All colours are medians."""
    background_redness_delta_e: float | None
    """a* of CIE LAB: above 0 red, below 0 green."""
    background_yellowness_delta_e: float | None
    """b* of CIE LAB: above 0 yellow, below 0 blue."""
    nuclei_lightness_delta_e: float | None
    nuclei_redness_delta_e: float | None
    nuclei_yellowness_delta_e: float | None
    red_cells_lightness_delta_e: float | None
    red_cells_redness_delta_e: float | None
    red_cells_yellowness_delta_e: float | None
    sharpness_ratio: float | None
    """Strength of the finest details of cells (below 1 px), divided by that of the next coarser ones (1 to 2 px)."""
    noise_ratio: float | None
    """Noise of the background, divided by the strength of the cells' details of 1 to 2 px."""
    nucleus_diameter_px: float | None
    """Diameter of a disc with the median area of whole nuclei, in heights of a pixel of the field."""
    red_cell_diameter_px: float | None
    """Median diameter, in heights of a pixel of the field."""


def measure_appearance(
    field: NDArray[np.uint8],
    nuclei_mask: NDArray[np.uint8],
    *,
    nucleus_diameter_px: float | None,
    red_cell_diameter_px: float | None,
) -> Appearance:
    """Measure a uint8 RGB field (h, w, 3), not denoised, with the mask of its nuclei (h, w), 255 on them.

    The diameters, in heights of a pixel of the field, are passed on unchanged.

    Strength is the root mean square of lightness in a band of a Gaussian pyramid (P. J. Burt and E. H. Adelson, "The
    Laplacian pyramid as a compact image code", 1983), so that contrast cancels out of both ratios. Noise is measured
    as by J. Immerkaer, "Fast noise variance estimation", 1996, with a median in place of the mean.
    """
    lightness, rows = _lab(field)
    background = rows[0] >= _quantile(rows[0], _BRIGHTEST_RATIO)
    green = np.asarray(cv2.extractChannel(field, 1), np.uint8)
    brightest = (1 - MIN_ABSORPTION_RATIO) * _middle(green[::_ROWS_STRIDE][background])
    dark = np.asarray(cv2.threshold(green, math.ceil(brightest) - 1, 255, cv2.THRESH_BINARY_INV)[1], np.uint8)
    nucleated = cv2.dilate(nuclei_mask, _CYTOPLASM)
    cells = np.asarray(cv2.bitwise_or(dark, nucleated), np.uint8)
    red_cells = dark[::_ROWS_STRIDE] > nucleated[::_ROWS_STRIDE]
    fine = _blurred(lightness, _FINE_SIGMA_PX)
    coarse = _strength(fine - _blurred(lightness, _COARSE_SIGMA_PX), cells)
    noise = _median(np.abs(_filtered(lightness, _NOISE)[::_ROWS_STRIDE]), cells[::_ROWS_STRIDE] == 0)
    return Appearance(
        *_colour(rows, background),
        *_colour(rows, nuclei_mask[::_ROWS_STRIDE] > 0),
        *_colour(rows, red_cells),
        _ratio(_strength(lightness - fine, cells), coarse),
        _ratio(None if noise is None else noise / _NOISE_GAIN, coarse),
        nucleus_diameter_px,
        red_cell_diameter_px,
    )


def _lab(field: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Sequence[NDArray[np.float32]]]:
    """L* (h, w) of CIE LAB, and the planes L*, a* and b* of every fourth row."""
    lightness, rows = np.empty(field.shape[:2], np.float32), []
    # Strips that fit into the processor's cache take half the time.
    for top in range(0, len(field), _STRIP_ROWS):
        strip = slice(top, top + _STRIP_ROWS)
        lab = np.asarray(cv2.cvtColor(field[strip].astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
        cv2.extractChannel(lab, 0, dst=lightness[strip])
        rows.append(lab[::_ROWS_STRIDE])
    return lightness, [np.asarray(plane, np.float32) for plane in cv2.split(np.concatenate(rows))]


def _blurred(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)


def _filtered(plane: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.filter2D(plane, cv2.CV_32F, kernel), np.float32)


def _colour(
    planes: Sequence[NDArray[np.float32]], where: NDArray[np.bool_]
) -> tuple[float | None, float | None, float | None]:
    lightness, redness, yellowness = planes
    return _median(lightness, where), _median(redness, where), _median(yellowness, where)


def _median(plane: NDArray[np.float32], where: NDArray[np.bool_]) -> float | None:
    return _middle(plane[where]) if _is_enough(int(np.count_nonzero(where)), where.size) else None


def _middle(values: NDArray[np.generic]) -> float:
    """The median of a flat array; numpy's own takes twice as long for a thousand values."""
    at = values.size // 2
    if values.size % 2:
        return float(np.partition(values, at)[at])
    low, high = np.partition(values, (at - 1, at))[at - 1 : at + 1].tolist()
    return float((low + high) / 2)


def _quantile(plane: NDArray[np.float32], ratio: float) -> float:
    """The least of the values that are above this share of them."""
    at = math.ceil(ratio * (plane.size - 1))
    return float(np.partition(plane, at, axis=None)[at])


def _strength(band: NDArray[np.float32], where: NDArray[np.uint8]) -> float | None:
    """Root mean square of the band where the mask is not 0."""
    count = cv2.countNonZero(where)
    return math.sqrt(cv2.norm(band, cv2.NORM_L2SQR, where) / count) if _is_enough(count, where.size) else None


def _is_enough(count: int, of: int) -> bool:
    return bool(count >= _MIN_SHARE_RATIO * of)


def _ratio(value: float | None, by: float | None) -> float | None:
    return value / by if value is not None and by else None
