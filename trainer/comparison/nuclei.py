"""Measures nuclei as was common before neural networks: shape, size, colour, texture and number.

These measures feed the classical classifiers that a network is compared with. They are those in common use for blasts
(area, roundness, solidity, eccentricity, stain, chromatin's coarseness), by the device's own segmentation.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.cells import find_cells
from edge_agent.vision.colour import to_lab
from edge_agent.vision.preprocessing import DENOISERS
from edge_agent.vision.segmentation import cells_mask

_DENOISE = "median3"
_BORDER = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))

NUCLEUS_VALUES = ("area", "roundness", "solidity", "eccentricity", "l", "a", "b", "l_spread", "coarseness")
FIELD_VALUES = ("count", "coverage", "cytoplasm_l", "cytoplasm_a", "cytoplasm_b")
VALUES_COUNT = 3 * len(NUCLEUS_VALUES) + len(FIELD_VALUES)

Floats = NDArray[np.float32]


def describe_nuclei(field: NDArray[np.uint8]) -> Floats:
    """float32 (32,) of a uint8 RGB field (h, w, 3): mean, spread and largest of each nucleus value, then the field's.

    All are zero if there is no nucleus.
    """
    denoised = DENOISERS[_DENOISE](field)
    lab = to_lab(denoised)
    found = find_cells(denoised).segmentation
    contours, _ = cv2.findContours(found.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # An ellipse needs at least five points.
    nuclei = [_describe(contour, lab) for contour in contours if len(contour) >= 5]
    if not nuclei:
        return np.zeros(VALUES_COUNT, np.float32)
    values = np.array(nuclei)
    ring = cv2.bitwise_and(cells_mask(found.mask), cv2.bitwise_not(found.mask))
    whole = [len(nuclei), found.coverage_pct, *cv2.mean(lab, mask=ring)[:3]]
    return np.concatenate([values.mean(axis=0), values.std(axis=0), values.max(axis=0), whole], dtype=np.float32)


def _describe(contour: cv2.typing.MatLike, lab: NDArray[np.uint8]) -> list[float]:
    """``NUCLEUS_VALUES`` of one nucleus in a CIE LAB field."""
    left, top, width, height = cv2.boundingRect(contour)
    part = np.ascontiguousarray(lab[top : top + height, left : left + width])
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.drawContours(mask, [contour], -1, 255, cv2.FILLED, offset=(-left, -top))
    area = float(cv2.countNonZero(mask))
    perimeter = cv2.arcLength(contour, closed=True)
    hull = max(cv2.contourArea(cv2.convexHull(contour)), 1.0)
    _, axes, _ = cv2.fitEllipse(contour)
    minor, major = sorted(axes)
    mean, spread = cv2.meanStdDev(part, mask=mask)
    # The border of a nucleus is not chromatin.
    inside = cv2.erode(mask, _BORDER, borderValue=0)
    detail = cv2.absdiff(part[..., 0], cv2.GaussianBlur(part[..., 0], (0, 0), 2))
    return [
        area,
        4 * np.pi * area / max(perimeter, 1.0) ** 2,
        min(1.0, cv2.contourArea(contour) / hull),
        float(np.sqrt(max(0.0, 1 - (minor / max(major, 1e-6)) ** 2))),
        *mean[:, 0].tolist(),
        float(spread[0, 0]),
        float(cv2.mean(detail, mask=inside)[0]),
    ]
