"""Finds the nucleus that a cell's window is centred on, in a fraction of the time that all nuclei of a field take.

The window is known to show a nucleus: whoever cut it out has judged that. Only the outline is left to find. So the
regions that k-means proposes by stain need not be compared with red cells; touching nuclei are separated, and lobes of
one nucleus joined, as in a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.colour import LEVELS
from edge_agent.vision.kmeans import kmeans_histogram
from edge_agent.vision.mask_bits import open_and_close_all
from edge_agent.vision.nuclei import LOBE_MIN_AREA_RATIO, LOBES_MAX_GAP_RATIO, contour_area_px, join_lobes
from edge_agent.vision.segmentation import CLUSTERS, is_pale, nuclear_levels, open_and_close
from edge_agent.vision.stain import absorbed_histograms, absorbed_level, measure_stains
from edge_agent.vision.three_means import three_means
from edge_agent.vision.touching import Contour, outlines, separate

MIN_AREA_RATIO = 0.12
"""Least area of all lobes, in areas of a red cell. It is less than in a field, where no one has chosen the cell."""

MAX_OFFSET_RATIO = 0.5
"""How far outside the nucleus the centre of the window may lie, in diameters of a red cell: as between lobes."""


FEW_WINDOWS = 3
"""Up to this many windows are faster one by one than all at once."""


@dataclass(frozen=True, slots=True, eq=False)
class CentralNucleus:
    """The nucleus in the middle of a window."""

    background: tuple[int, int, int]
    """The window's background: levels of red, green and blue."""
    parts: tuple[Contour, ...]
    """The outlines of the nucleus' parts; none if there is no nucleus."""


def find_central_nuclei(windows: NDArray[np.uint8], red_cell_diameter_px: float) -> list[CentralNucleus]:
    """The nucleus nearest to the centre of each of n denoised uint8 RGB windows (n, h, w, 3).

    Each step runs on all windows before the next begins: its data stay in the cache, and one call does much of it.
    """
    if not len(windows):
        return []
    backgrounds, nuclear = measure_stains(windows)
    levels = _nuclear_levels(absorbed_histograms(nuclear))
    # Comparing bytes with bytes takes a tenth of the time. No level is above the highest.
    proposed = nuclear > (levels - 1).astype(np.uint8)[:, None, None]
    few = len(windows) <= FEW_WINDOWS
    closed = [open_and_close(each) for each in proposed.view(np.uint8)] if few else open_and_close_all(proposed)
    found = [outlines(each) for each in closed]
    return [
        CentralNucleus(background, _nearest_to_centre(each, nuclear.shape[1:], red_cell_diameter_px))
        for background, each in zip(backgrounds, found, strict=True)
    ]


def _nuclear_levels(histograms: NDArray[np.int64]) -> NDArray[np.int64]:
    """The level of ``Stain.nuclear`` from which on k-means proposes a nucleus, by absorbed light (n, 256).

    As ``segmentation.nuclear_levels``. 256 where only one level occurs.
    """
    least = np.full(len(histograms), LEVELS)
    many = np.count_nonzero(histograms, axis=1) >= CLUSTERS
    many &= len(histograms) > FEW_WINDOWS
    if many.any():
        clusters = three_means(histograms[many])
        pale = [is_pale(lower, upper) for _, lower, upper in clusters.centres.tolist()]
        least[many] = np.where(pale, clusters.firsts[:, 0], clusters.firsts[:, 1])
    for at in np.flatnonzero(~many).tolist():
        alone = kmeans_histogram(histograms[at], CLUSTERS)
        if alone.centres.size > 1:
            least[at] = int(nuclear_levels(alone).argmax())
    return np.searchsorted(absorbed_level, least)


def _nearest_to_centre(
    regions: Sequence[Contour], shape: tuple[int, ...], red_cell_diameter_px: float
) -> tuple[Contour, ...]:
    """The parts of the nucleus that is nearest to the centre of a window of ``shape`` (h, w), among stained regions."""
    least_px = LOBE_MIN_AREA_RATIO * np.pi / 4 * red_cell_diameter_px**2
    found = [each for each in regions if contour_area_px(each) >= least_px]
    centre = shape[1] / 2, shape[0] / 2
    # A region farther away than two gaps between lobes belongs to another cell.
    near_px = -(MAX_OFFSET_RATIO + 2 * LOBES_MAX_GAP_RATIO) * red_cell_diameter_px
    near = [each for each in found if cv2.pointPolygonTest(each, centre, measureDist=True) >= near_px]
    parts = [part for each in near for part in separate(each, 1.0, red_cell_diameter_px)]
    groups = join_lobes(parts, 1.0, red_cell_diameter_px) if len(parts) > 1 else [parts]
    inside_px = [_inside_px(group, centre) for group in groups if group]
    if not inside_px or max(inside_px) < -MAX_OFFSET_RATIO * red_cell_diameter_px:
        return ()
    chosen = groups[inside_px.index(max(inside_px))]
    area_px = sum(contour_area_px(each) for each in chosen)
    small = area_px < MIN_AREA_RATIO * np.pi / 4 * red_cell_diameter_px**2
    return () if small else tuple(chosen)


def _inside_px(parts: Sequence[Contour], point: tuple[float, float]) -> float:
    """How far inside one of the parts a point lies; negative outside of all."""
    return max(cv2.pointPolygonTest(each, point, measureDist=True) for each in parts)
