"""Is a field fit to be judged? Measures with units, and limits that the configuration may change."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.settings import Settings
from edge_agent.vision.segmentation import Segmentation, level_histogram

THUMBNAIL_PX = 32

_WHITE_LEVEL = 253
"""From here on a channel counts as clipped: JPEG leaves white a little short of 255."""

_SUM_OF_CHANNELS = np.ones((1, 3), np.float32)

_NEAR_NUCLEI = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


class QualityLimits(Settings):
    """Section ``[quality]``: beyond these a field is ``rejected``.

    The defaults pass nearly all of the training data (docs/quality.md has the figures) and refuse plain misfits.
    """

    min_focus_score: float = Field(default=20.0, ge=0, description="Tenengrad on nuclei; less is blurred.")
    min_brightness_pct: float = Field(default=30.0, ge=0, le=100, description="Mean grey level.")
    max_brightness_pct: float = Field(
        default=98.0, ge=0, le=100, description="Mean grey level of a field without nuclei."
    )
    max_clipped_dark_pct: float = Field(default=20.0, ge=0, le=100, description="Black pixels.")
    max_clipped_bright_pct: float = Field(
        default=50.0, ge=0, le=100, description="White pixels of a field without nuclei."
    )
    max_clipped_nuclei_pct: float = Field(
        default=50.0, ge=0, le=100, description="Pixels of nuclei that have lost two channels of three to light."
    )
    max_colour_cast_delta_e: float = Field(
        default=25.0, ge=0, description="Distance of the background from grey in CIE LAB (a*, b*)."
    )
    min_colourfulness_delta_e: float = Field(
        default=4.0,
        ge=0,
        description="Spread of the colours in CIE LAB (a*, b*); less is a greyscale picture.",
    )
    min_coverage_pct: float = Field(
        default=0.3, ge=0, le=100, description="Share of the field covered by nuclei; less is an empty field."
    )
    max_motion_pct: float = Field(
        default=4.0, ge=0, le=100, description="Mean change of grey level against the frame before."
    )


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


def measure(field: NDArray[np.uint8], lab: NDArray[np.uint8], segmentation: Segmentation) -> FieldQuality:
    """Measure a uint8 RGB field (h, w, 3); ``lab`` and ``segmentation`` are of its denoised form.

    Focus is the Tenengrad (J. M. Tenenbaum, 1970; compared by Y. Sun et al., "Autofocusing in computer
    microscopy", 2004) of the nuclei and their borders alone: sharp red cells around a blurred blast do not help.
    """
    grey = np.asarray(cv2.cvtColor(field, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    # Channels are judged together: a strongly stained field may well have one channel at its end.
    dark = cv2.countNonZero(cv2.inRange(field, (0, 0, 0), (2, 2, 2)))
    bright = cv2.countNonZero(cv2.inRange(field, (_WHITE_LEVEL,) * 3, (255, 255, 255)))
    lightness = np.asarray(cv2.extractChannel(lab, 0), dtype=np.uint8)
    # The brightest quarter is background in every smear that is not packed with cells.
    limit = int(np.searchsorted(np.cumsum(level_histogram(lightness)), 0.75 * lightness.size))
    background = cv2.mean(lab, mask=cv2.inRange(lightness, limit, 255))
    _, spread = cv2.meanStdDev(lab)
    return FieldQuality(
        focus_score=_tenengrad(grey, segmentation.mask) if segmentation.count else None,
        brightness_pct=100.0 * float(cv2.mean(grey)[0]) / 255.0,
        clipped_dark_pct=100.0 * dark / grey.size,
        clipped_bright_pct=100.0 * bright / grey.size,
        clipped_nuclei_pct=_clipped_nuclei_pct(field, segmentation.mask) if segmentation.count else None,
        colour_cast_delta_e=float(np.hypot(background[1] - 128.0, background[2] - 128.0)),
        colourfulness_delta_e=float(np.hypot(spread[1, 0], spread[2, 0])),
    )


def _clipped_nuclei_pct(field: NDArray[np.uint8], mask: NDArray[np.uint8]) -> float:
    """Background clips long before a nucleus does, and stained nuclei have one channel near its end anyway."""
    _, at_end = cv2.threshold(field, _WHITE_LEVEL - 1, 1, cv2.THRESH_BINARY)
    ends = cv2.transform(at_end, _SUM_OF_CHANNELS)
    clipped = cv2.bitwise_and(cv2.inRange(ends, 2, 3), mask)
    return 100.0 * cv2.countNonZero(clipped) / cv2.countNonZero(mask)


def _tenengrad(grey: NDArray[np.uint8], mask: NDArray[np.uint8]) -> float:
    gx, gy = cv2.spatialGradient(grey)
    # A Sobel kernel adds up to 8 times the slope; the score is in squared grey levels per pixel.
    energy = cv2.add(cv2.multiply(gx, gx, dtype=cv2.CV_32F), cv2.multiply(gy, gy, dtype=cv2.CV_32F))
    return float(cv2.mean(energy, mask=cv2.dilate(mask, _NEAR_NUCLEI))[0]) / 64.0


def thumbnail(field: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A uint8 grey thumbnail (32, 32) of an RGB array, to compare frames by."""
    small = cv2.resize(field, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def change_pct(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference of two thumbnails, as a share of full scale."""
    return 100.0 * float(cv2.norm(one, other, cv2.NORM_L1)) / (255.0 * one.size)
