"""Finds the nuclei of a field: k-means proposes regions by stain, and each is judged by the properties of a nucleus.

k-means finds three clusters in anything. So its top cluster is only a proposal: each of its connected regions must be
stained as nuclei are, against the background and against the field's own red cells, and be of a nucleus' size.

Clustering one colour axis for nuclei follows M. Ghaderzadeh et al., "A fast and efficient CNN model for B-ALL
diagnosis and its subtypes classification using peripheral blood smear images", International Journal of Intelligent
Systems 37, 2022. They cluster a* of CIE LAB; nuclear density separates better (docs/nuclei.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.kmeans import Clusters, kmeans_histogram
from edge_agent.vision.nuclei import MIN_DENSITY, Nucleus, find_nuclei
from edge_agent.vision.stain import Stain, absorbed_level, density_of

CLUSTERS = 3
"""Background, red cells, nuclei."""

MIN_PALE_RATIO = 0.65
"""Where some nuclei are much darker than others, the top cluster holds only the dark ones. A cluster below with at
least this share of its nuclear density is proposed too."""

_OPEN = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_CLOSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_CYTOPLASM = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Nuclei of one field."""

    mask: NDArray[np.uint8]
    """255 on nuclei, else 0; shape (h, w)."""
    nuclei: tuple[Nucleus, ...]
    """The nuclei found. Lobes of one nucleus count as one, touching nuclei as several."""
    clusters: Clusters
    """Clusters of ``stain.absorbed_level``."""

    @property
    def count(self) -> int:
        """Number of nuclei."""
        return len(self.nuclei)

    @property
    def coverage_pct(self) -> float:
        """Share of the field that is nucleus."""
        return 100.0 * cv2.countNonZero(self.mask) / self.mask.size

    def mask_of_size(self, height_px: int, width_px: int) -> NDArray[np.uint8]:
        """``mask`` scaled to (height_px, width_px)."""
        if self.mask.shape == (height_px, width_px):
            return self.mask
        return np.asarray(cv2.resize(self.mask, (width_px, height_px), interpolation=cv2.INTER_NEAREST), np.uint8)


def segment(stain: Stain, *, pixel_aspect: float = 1.0, red_cell_diameter_px: float | None = None) -> Segmentation:
    """Find the nuclei of a field.

    ``pixel_aspect`` is width by height of what one pixel covers; ``red_cell_diameter_px`` the median diameter of the
    red cells, in heights of a pixel, None if unknown. Without it sizes are judged by the field's size, and lobes are
    neither joined nor touching nuclei separated.
    """
    histogram = stain.absorbed_histogram()
    clusters = kmeans_histogram(histogram, CLUSTERS)
    nuclei: tuple[Nucleus, ...] = ()
    if clusters.centres.size > 1:
        allowed = nuclear_levels(clusters)
        nuclei = _find(stain, allowed, pixel_aspect, red_cell_diameter_px)
        if not nuclei:
            # Red cells that are stained nearly like nuclei share the cluster of the few nuclei between them.
            denser = kmeans_histogram(np.where(allowed, histogram, 0), 2)
            nuclei = _find(stain, allowed & (denser.labels == 1), pixel_aspect, red_cell_diameter_px, only_pure=True)
    mask = np.zeros(stain.nuclear.shape, np.uint8)
    cv2.drawContours(mask, [contour for nucleus in nuclei for contour in nucleus.contours], -1, 255, cv2.FILLED)
    return Segmentation(mask, nuclei, clusters)


def nuclear_levels(clusters: Clusters) -> NDArray[np.bool_]:
    """The levels of absorbed light that may be nuclei, bool (256,), from two clusters or more.

    These are the levels of the top cluster, and of the cluster below if it is stained much alike.
    """
    top = clusters.centres.size - 1
    pale = top > 1 and is_pale(*clusters.centres[-2:].tolist())
    return clusters.labels >= (top - 1 if pale else top)


def is_pale(lower: float, upper: float) -> bool:
    """Whether the cluster below the top one may be nuclei too, by how much light the two clusters' means absorb."""
    return density_of(lower) >= max(MIN_DENSITY, MIN_PALE_RATIO * density_of(upper))


def propose(stain: Stain, allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A uint8 mask (h, w), 255 on the pixels of the ``allowed`` levels, bool (256,): specks go, gaps close.

    All levels from the first allowed one on are allowed.
    """
    levels = allowed[absorbed_level]
    if not levels[-1]:
        return np.zeros_like(stain.nuclear)
    # This does the same as a look-up, in a tenth of the time.
    _, raw = cv2.threshold(stain.nuclear, int(levels.argmax()) - 1, 255, cv2.THRESH_BINARY)
    return open_and_close(np.asarray(raw, np.uint8))


def open_and_close(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A uint8 mask (h, w) without specks and gaps."""
    return np.asarray(
        cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _OPEN), cv2.MORPH_CLOSE, _CLOSE), np.uint8
    )


def _find(
    stain: Stain,
    allowed: NDArray[np.bool_],
    pixel_aspect: float,
    red_cell_diameter_px: float | None,
    *,
    only_pure: bool = False,
) -> tuple[Nucleus, ...]:
    """The nuclei in the pixels of the ``allowed`` levels, bool (256,), of absorbed light."""
    return find_nuclei(stain, propose(stain, allowed), pixel_aspect, red_cell_diameter_px, only_pure=only_pure)


def cells_mask(nuclei_mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Nuclei, 255 in a uint8 mask (h, w), with as much cytoplasm as blasts have; the same shape."""
    return np.asarray(cv2.dilate(nuclei_mask, _CYTOPLASM), dtype=np.uint8)
