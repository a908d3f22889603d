"""Measures whether a field is fit to be judged, and the exposure of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.colour import level_histogram, masked_mean, to_lab
from edge_agent.vision.foreground import foreground_pct

THUMBNAIL_PX = 32

Plane = NDArray[np.uint8]

_BLACK_LEVEL = 2
_WHITE_LEVEL = 253
"""From this level on a channel counts as clipped: JPEG leaves white slightly below 255."""

_ROWS_STRIDE = 4
"""Shares and means of every fourth row differ less from those of all rows than those of one frame from the next."""

_NEAR_NUCLEI = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_MARGIN_PX = 3
"""Pixels near nuclei are within 2 px of them, and their slope depends on 1 px more."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """The brightness of a picture, and how much of it is clipped: every channel at its end."""

    brightness_pct: float
    clipped_dark_pct: float
    clipped_bright_pct: float


@dataclass(frozen=True, slots=True)
class FieldQuality:
    """Measures of one field."""

    focus_score: float | None
    brightness_pct: float
    clipped_dark_pct: float
    clipped_bright_pct: float
    clipped_nuclei_pct: float | None
    colour_cast_delta_e: float
    colourfulness_delta_e: float
    foreground_pct: float


def measure(field: NDArray[np.uint8], denoised: NDArray[np.uint8], nuclei_mask: Plane) -> FieldQuality:
    """Measure a uint8 RGB field (h, w, 3), its denoised form, and the mask of its nuclei (h, w), 255 on them.

    Focus is the Tenengrad (J. M. Tenenbaum, 1970; compared by Y. Sun et al., "Autofocusing in computer
    microscopy", 2004) of the nuclei and their borders only: sharp red cells around a blurred blast do not help. All
    else but the foreground is measured on every fourth row.
    """
    mask = nuclei_mask[::_ROWS_STRIDE]
    # OpenCV needs only a fraction of the time for separate planes that it needs for interleaved channels.
    least, middle, most = _ranked(*_planes(field[::_ROWS_STRIDE]))
    lightness, a_star, b_star = _planes(to_lab(denoised[::_ROWS_STRIDE]))
    grey = np.asarray(cv2.cvtColor(field, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    # The brightest quarter is background unless the smear is packed with cells.
    limit = int(np.searchsorted(np.cumsum(level_histogram(lightness)), 0.75 * lightness.size))
    background = _at_least(lightness, limit)
    cast = masked_mean(a_star, background) - 128.0, masked_mean(b_star, background) - 128.0
    spread = _deviation(a_star), _deviation(b_star)
    # Channels are judged together: a strongly stained field may well have one channel at its end. Background clips
    # long before a nucleus does, and a stained nucleus has one channel near its end anyway.
    clipped_nuclei = np.asarray(cv2.bitwise_and(_at_least(middle, _WHITE_LEVEL), mask), dtype=np.uint8)
    nuclei_px = cv2.countNonZero(mask)
    exposure = _exposure(grey, least, most)
    return FieldQuality(
        focus_score=_tenengrad(grey, nuclei_mask) if nuclei_px else None,
        brightness_pct=exposure.brightness_pct,
        clipped_dark_pct=exposure.clipped_dark_pct,
        clipped_bright_pct=exposure.clipped_bright_pct,
        clipped_nuclei_pct=_share_pct(clipped_nuclei, nuclei_px) if nuclei_px else None,
        colour_cast_delta_e=float(np.hypot(*cast)),
        colourfulness_delta_e=float(np.hypot(*spread)),
        foreground_pct=foreground_pct(_planes(field)[1]),
    )


def measure_exposure(rgb: NDArray[np.uint8], grey: Plane) -> Exposure:
    """The exposure of a uint8 array (h, w, 3), in any order of colours, and its grey form; as ``measure`` gives it."""
    least, _, most = _ranked(*_planes(rgb[::_ROWS_STRIDE]))
    return _exposure(grey, least, most)


def _exposure(grey: Plane, least: Plane, most: Plane) -> Exposure:
    return Exposure(
        brightness_pct=100.0 * float(cv2.mean(grey)[0]) / 255.0,
        clipped_dark_pct=100.0 - _share_pct(_at_least(most, _BLACK_LEVEL + 1), most.size),
        clipped_bright_pct=_share_pct(_at_least(least, _WHITE_LEVEL), least.size),
    )


def _planes(array: NDArray[np.uint8]) -> tuple[Plane, Plane, Plane]:
    one, two, three = (np.asarray(plane, dtype=np.uint8) for plane in cv2.split(array))
    return one, two, three


def _ranked(red: Plane, green: Plane, blue: Plane) -> tuple[Plane, Plane, Plane]:
    """The smallest, middle and largest channel value of each pixel."""
    lower, upper = cv2.min(red, green), cv2.max(red, green)
    ranked = cv2.min(lower, blue), cv2.max(lower, cv2.min(upper, blue)), cv2.max(upper, blue)
    least, middle, most = (np.asarray(plane, dtype=np.uint8) for plane in ranked)
    return least, middle, most


def _at_least(plane: Plane, level: int) -> Plane:
    """255 where the plane has ``level`` or more, else 0."""
    return np.asarray(cv2.threshold(plane, level - 1, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)


def _share_pct(mask: Plane, of_px: int) -> float:
    return 100.0 * cv2.countNonZero(mask) / of_px


def _deviation(plane: Plane) -> float:
    _, deviation = cv2.meanStdDev(plane)
    return float(deviation[0, 0])


def _tenengrad(grey: Plane, mask: Plane) -> float:
    left, top, width, height = cv2.boundingRect(mask)
    around = (
        slice(max(0, top - _MARGIN_PX), top + height + _MARGIN_PX),
        slice(max(0, left - _MARGIN_PX), left + width + _MARGIN_PX),
    )
    gx, gy = cv2.spatialGradient(grey[around])
    near = cv2.dilate(mask[around], _NEAR_NUCLEI)
    energy = sum(cv2.norm(cv2.copyTo(slope, near), cv2.NORM_L2SQR) for slope in (gx, gy))
    # A Sobel kernel adds up to 8 times the slope; the score is in squared grey levels per pixel.
    return energy / cv2.countNonZero(near) / 64.0


def thumbnail(field: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A uint8 grey thumbnail (32, 32) of an RGB array, to compare frames by."""
    grey = cv2.cvtColor(field, cv2.COLOR_RGB2GRAY)
    # Halving takes a fraction of the time of averaging other areas.
    while min(grey.shape) >= 4 * THUMBNAIL_PX and not any(side % 2 for side in grey.shape):
        grey = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(grey, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def change_pct(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference of two thumbnails, as a share of full scale."""
    return 100.0 * float(cv2.norm(one, other, cv2.NORM_L1)) / (255.0 * one.size)
