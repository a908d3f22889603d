"""Release 0.2 in place of today's vision, kept as a baseline: for accuracy, and for time in one run.

Nuclei were the k-means cluster with the highest a* of CIE LAB (M. Ghaderzadeh et al., 2022), cleaned up; quality was
measured on every pixel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.colour import LEVELS, level_histogram, masked_mean
from edge_agent.vision.kmeans import Clusters, kmeans_histogram

Plane = NDArray[np.uint8]

_KERNEL = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


def segment_a_star(lab: NDArray[np.uint8]) -> Plane:
    """Mask of nuclei, uint8 (h, w), 255 on them, of a CIE LAB field (h, w, 3)."""
    a_star = np.asarray(cv2.extractChannel(lab, 1), dtype=np.uint8)
    clusters = kmeans_histogram(level_histogram(a_star), 3)
    nothing = np.zeros(a_star.shape, np.uint8)
    if _contrast(clusters) < 12.0:
        return nothing
    raw = cv2.LUT(a_star, np.where(clusters.labels == clusters.centres.size - 1, 255, 0).astype(np.uint8))
    cleaned = cv2.morphologyEx(cv2.morphologyEx(raw, cv2.MORPH_OPEN, _KERNEL), cv2.MORPH_CLOSE, _KERNEL)
    mask = _keep_large(np.asarray(cleaned, dtype=np.uint8))
    b_star = np.asarray(cv2.extractChannel(lab, 2), dtype=np.uint8)
    if masked_mean(b_star, np.asarray(cv2.bitwise_not(mask), np.uint8)) - masked_mean(b_star, mask) < 3.0:
        return nothing
    return mask


def measure_all_pixels(field: NDArray[np.uint8], lab: NDArray[np.uint8], mask: Plane) -> dict[str, float]:
    """The quality measures of a uint8 RGB field (h, w, 3), of its denoised CIE LAB, and of its nuclei."""
    red, green, blue = (cv2.extractChannel(field, channel) for channel in range(3))
    lightness, a_star, b_star = (np.asarray(cv2.extractChannel(lab, channel), np.uint8) for channel in range(3))
    grey = cv2.cvtColor(field, cv2.COLOR_RGB2GRAY)
    lower, upper = cv2.min(red, green), cv2.max(red, green)
    least, middle, most = cv2.min(lower, blue), cv2.max(lower, cv2.min(upper, blue)), cv2.max(upper, blue)
    limit = int(np.searchsorted(np.cumsum(level_histogram(lightness)), 0.75 * lightness.size))
    background = np.asarray(cv2.threshold(lightness, limit - 1, 255, cv2.THRESH_BINARY)[1], np.uint8)
    spread = [float(cv2.meanStdDev(plane)[1][0, 0]) for plane in (a_star, b_star)]
    near = cv2.dilate(mask, _KERNEL)
    slopes = cv2.spatialGradient(grey)
    energy = sum(cv2.norm(cv2.copyTo(slope, near), cv2.NORM_L2SQR) for slope in slopes)
    bleached = cv2.bitwise_and(cv2.threshold(middle, 252, 255, cv2.THRESH_BINARY)[1], mask)
    return {
        "focus_score": energy / max(1, cv2.countNonZero(near)) / 64.0,
        "brightness_pct": 100.0 * float(cv2.mean(grey)[0]) / 255.0,
        "clipped_dark_pct": 100.0
        - 100.0 * cv2.countNonZero(cv2.threshold(most, 2, 255, cv2.THRESH_BINARY)[1]) / grey.size,
        "clipped_bright_pct": 100.0
        * cv2.countNonZero(cv2.threshold(least, 252, 255, cv2.THRESH_BINARY)[1])
        / grey.size,
        "clipped_nuclei_pct": 100.0 * cv2.countNonZero(bleached) / max(1, cv2.countNonZero(mask)),
        "colour_cast_delta_e": float(
            np.hypot(masked_mean(a_star, background) - 128.0, masked_mean(b_star, background) - 128.0)
        ),
        "colourfulness_delta_e": float(np.hypot(spread[0], spread[1])),
    }


def segment_watershed(rgb: NDArray[np.uint8]) -> Plane:
    """Mask of nuclei by the textbook method: Otsu's threshold on green, distance transform, watershed (OpenCV).

    ``rgb`` is a denoised uint8 field (h, w, 3). The borders drawn by the watershed are left out of the mask, so its
    connected regions are the nuclei.
    """
    green = np.asarray(cv2.extractChannel(rgb, 1), dtype=np.uint8)
    _, dark = cv2.threshold(green, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    _, dark = cv2.threshold(cv2.copyTo(255 - green, dark), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = cv2.morphologyEx(dark, cv2.MORPH_OPEN, _KERNEL)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    _, sure = cv2.threshold(distance, 0.6 * float(distance.max()), 255, cv2.THRESH_BINARY)
    _, markers = cv2.connectedComponents(sure.astype(np.uint8))
    markers += 1
    markers[(mask > 0) & (sure == 0)] = 0
    basins = cv2.watershed(np.ascontiguousarray(rgb), markers.astype(np.int32))
    return np.where(basins > 1, 255, 0).astype(np.uint8)


def _contrast(clusters: Clusters) -> float:
    if clusters.centres.size < 2:
        return 0.0
    rest = np.average(clusters.centres[:-1], weights=clusters.counts[:-1])
    return float(clusters.centres[-1] - rest)


def _keep_large(mask: NDArray[np.uint8]) -> Plane:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    keep = stats[:, cv2.CC_STAT_AREA] >= 0.0012 * mask.size
    keep[0] = False
    table = np.where(keep, 255, 0).astype(np.uint8)
    if count <= LEVELS:
        padded = np.zeros(LEVELS, np.uint8)
        padded[:count] = table
        return np.asarray(cv2.LUT(labels.astype(np.uint8), padded), dtype=np.uint8)
    return np.asarray(table[labels], dtype=np.uint8)
