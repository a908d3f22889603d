"""Finds nuclei: the cluster with the highest a* in CIE LAB, cleaned up.

Nuclei take up basic dyes and turn purple, which separates them from red cells and background on the a* axis
(green to red) however bright the field is. Clustering that axis with k-means follows M. Ghaderzadeh et al.,
"A fast and efficient CNN model for B-ALL diagnosis and its subtypes classification using peripheral blood
smear images", International Journal of Intelligent Systems 37, 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.kmeans import LEVELS, Clusters, kmeans_histogram

CLUSTERS = 3
"""Background, red cells, nuclei."""

MIN_CONTRAST_LEVELS = 12.0
"""Smallest distance in a* between the centre of the nuclei and that of the rest; below it a field has no nuclei.
k-means always finds three clusters, even in plain background."""

MIN_BLUE_SHIFT_LEVELS = 3.0
"""How far nuclei must be below the rest on b* (yellow to blue). Haematoxylin and azure B are blue, eosin is not:
without this, pink red cells on an empty field would be taken for nuclei."""

MIN_NUCLEUS_AREA_RATIO = 0.0012
"""Share of the field; 60 px at 224 x 224, a disc of 9 px. Platelets, dirt and letters are smaller."""

BAR_HEIGHT_RATIO, BAR_WIDTH_RATIO = 28 / 224, 50 / 224
"""The bottom-right corner in which microscope software burns in its scale bar."""

_OPEN = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_CLOSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_CYTOPLASM = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Nuclei of one field."""

    mask: NDArray[np.uint8]
    """255 on nuclei, else 0; shape (h, w)."""
    areas_px: NDArray[np.int32]
    """Area of each nucleus, shape (count,). Nuclei that touch are one."""
    clusters: Clusters
    """Clusters of the a* channel."""

    @property
    def count(self) -> int:
        """Number of nuclei; touching ones count as one."""
        return int(self.areas_px.size)

    @property
    def coverage_pct(self) -> float:
        """Share of the field that is nucleus."""
        return 100.0 * float(self.areas_px.sum()) / self.mask.size


def segment(lab: NDArray[np.uint8]) -> Segmentation:
    """Find the nuclei in a uint8 CIE LAB field of shape (h, w, 3) as OpenCV scales it (a* + 128).

    The mask is empty if no cluster stands out by ``MIN_CONTRAST_LEVELS`` and ``MIN_BLUE_SHIFT_LEVELS``.
    """
    a_star = np.asarray(cv2.extractChannel(lab, 1), dtype=np.uint8)
    clusters = kmeans_histogram(level_histogram(a_star), CLUSTERS)
    nothing = Segmentation(np.zeros(a_star.shape, np.uint8), np.zeros(0, np.int32), clusters)
    if _contrast(clusters) < MIN_CONTRAST_LEVELS:
        return nothing
    nuclear = np.where(clusters.labels == clusters.centres.size - 1, 255, 0).astype(np.uint8)
    raw = cv2.LUT(a_star, nuclear)
    cleaned = cv2.morphologyEx(cv2.morphologyEx(raw, cv2.MORPH_OPEN, _OPEN), cv2.MORPH_CLOSE, _CLOSE)
    mask, areas = _keep_nuclei(np.asarray(cleaned, dtype=np.uint8))
    b_star = np.asarray(cv2.extractChannel(lab, 2), dtype=np.uint8)
    rest = np.asarray(cv2.bitwise_not(mask), dtype=np.uint8)
    if masked_mean(b_star, rest) - masked_mean(b_star, mask) < MIN_BLUE_SHIFT_LEVELS:
        return nothing
    return Segmentation(mask, areas, clusters)


def level_histogram(channel: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each level occurs in a uint8 channel (h, w) of up to 2^24 pixels; shape (256,)."""
    # OpenCV counts in float32, which is exact up to that size, in a fifth of numpy's time.
    counts = cv2.calcHist([channel], [0], None, [LEVELS], [0, LEVELS])
    return np.asarray(counts, dtype=np.int64).ravel()


def masked_mean(plane: NDArray[np.uint8], mask: NDArray[np.uint8]) -> float:
    """Mean level of a uint8 plane (h, w) where the mask (h, w) is 255, not 0; 0.0 where it never is."""
    # OpenCV's own masked mean takes four times as long.
    count = cv2.countNonZero(mask)
    return float(cv2.mean(cv2.bitwise_and(plane, mask))[0]) * plane.size / count if count else 0.0


def _contrast(clusters: Clusters) -> float:
    if clusters.centres.size < 2:
        return 0.0
    rest = np.average(clusters.centres[:-1], weights=clusters.counts[:-1])
    return float(clusters.centres[-1] - rest)


def _keep_nuclei(mask: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    height, width = mask.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    if count == 1:
        return mask, np.zeros(0, np.int32)
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= MIN_NUCLEUS_AREA_RATIO * mask.size
    # The ink of a scale bar is entirely inside its corner; a nucleus there extends beyond it or touches the edge of the
    # field.
    right = stats[:, cv2.CC_STAT_LEFT] + stats[:, cv2.CC_STAT_WIDTH]
    bottom = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT]
    in_corner = (stats[:, cv2.CC_STAT_LEFT] >= width * (1 - BAR_WIDTH_RATIO)) & (
        stats[:, cv2.CC_STAT_TOP] >= height * (1 - BAR_HEIGHT_RATIO)
    )
    keep &= ~(in_corner & (right < width) & (bottom < height))
    keep[0] = False
    table = np.where(keep, 255, 0).astype(np.uint8)
    if count <= LEVELS:
        # A look-up table for bytes takes a tenth of the time.
        padded = np.zeros(LEVELS, np.uint8)
        padded[:count] = table
        kept = np.asarray(cv2.LUT(labels.astype(np.uint8), padded), dtype=np.uint8)
    else:
        kept = table[labels]
    return kept, areas[keep].astype(np.int32)


def cells_mask(segmentation: Segmentation) -> NDArray[np.uint8]:
    """The nuclei with as much cytoplasm as blasts have: 255 inside, shape (h, w)."""
    return np.asarray(cv2.dilate(segmentation.mask, _CYTOPLASM), dtype=np.uint8)
