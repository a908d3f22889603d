"""What a field looks like, in a few simple figures: its colours, its texture, and the size of its cells.

They decide nothing. Of a field that is unlike the training images they say whether it is so in a simple way.
"""

from __future__ import annotations

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

_CYTOPLASM = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
"""So far around a nucleus there is cytoplasm, and no red cell."""

_FINE_SIGMA_PX, _COARSE_SIGMA_PX = 1.0, 2.0

_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_NOISE_GAIN = 6.0 * 0.6745
"""Root of the sum of squares of the kernel, and the median of the absolute value of a standard normal variable."""


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
    """Strength of the finest details of cells (below 1 px) by that of the next coarser ones (1 to 2 px)."""
    noise_ratio: float | None
    """Noise of the background by the strength of the cells' details of 1 to 2 px."""
    nucleus_diameter_px: float | None
    """Of a disc of the median area of whole nuclei, in heights of a pixel of the field."""
    red_cell_diameter_px: float | None
    """The median, in heights of a pixel of the field."""


def measure_appearance(
    field: NDArray[np.uint8],
    nuclei_mask: NDArray[np.uint8],
    *,
    nucleus_diameter_px: float | None,
    red_cell_diameter_px: float | None,
) -> Appearance:
    """Measure a uint8 RGB field (h, w, 3), not denoised, with the mask of its nuclei (h, w), 255 on them.

    The diameters are of cells in heights of a pixel of the field, and are passed on.

    Strength is the root mean square of lightness in a band of a Gaussian pyramid (P. J. Burt and E. H. Adelson, "The
    Laplacian pyramid as a compact image code", 1983), so that contrast cancels out of both ratios. Noise is measured
    as by J. Immerkaer, "Fast noise variance estimation", 1996, with a median in place of the mean.
    """
    lab = np.asarray(cv2.cvtColor(field.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    rows, lightness, green = lab[::_ROWS_STRIDE], np.ascontiguousarray(lab[..., 0]), field[..., 1]
    background = rows[..., 0] >= np.quantile(rows[..., 0], _BRIGHTEST_RATIO)
    dark = green < (1 - MIN_ABSORPTION_RATIO) * float(np.median(green[::_ROWS_STRIDE][background]))
    nucleated = cv2.dilate(nuclei_mask, _CYTOPLASM) > 0
    cells = dark | nucleated
    fine = _blurred(lightness, _FINE_SIGMA_PX)
    coarse = _strength(fine - _blurred(lightness, _COARSE_SIGMA_PX), cells)
    noise = _median(np.abs(_filtered(lightness, _NOISE)[::_ROWS_STRIDE]), ~cells[::_ROWS_STRIDE])
    return Appearance(
        *_colour(rows, background),
        *_colour(rows, nuclei_mask[::_ROWS_STRIDE] > 0),
        *_colour(rows, (dark & ~nucleated)[::_ROWS_STRIDE]),
        _ratio(_strength(lightness - fine, cells), coarse),
        _ratio(None if noise is None else noise / _NOISE_GAIN, coarse),
        nucleus_diameter_px,
        red_cell_diameter_px,
    )


def _blurred(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)


def _filtered(plane: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.filter2D(plane, cv2.CV_32F, kernel), np.float32)


def _colour(lab: NDArray[np.float32], where: NDArray[np.bool_]) -> tuple[float | None, float | None, float | None]:
    return _median(lab[..., 0], where), _median(lab[..., 1], where), _median(lab[..., 2], where)


def _median(plane: NDArray[np.float32], where: NDArray[np.bool_]) -> float | None:
    return float(np.median(plane[where])) if _is_enough(where) else None


def _strength(band: NDArray[np.float32], where: NDArray[np.bool_]) -> float | None:
    return float(np.sqrt(np.mean(np.square(band[where])))) if _is_enough(where) else None


def _is_enough(where: NDArray[np.bool_]) -> bool:
    return bool(np.count_nonzero(where) >= _MIN_SHARE_RATIO * where.size)


def _ratio(value: float | None, by: float | None) -> float | None:
    return value / by if value is not None and by else None
