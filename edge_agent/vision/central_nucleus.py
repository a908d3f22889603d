"""Finds the nucleus that a cell's window is centred on, in a fraction of the time that all nuclei of a field take.

That there is a nucleus is known: whoever cut the window out has judged it. What is left is where it ends. So what
k-means proposes by stain need not be compared with red cells; touching nuclei are separated, and lobes of one joined,
as in a field.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge_agent.vision.kmeans import kmeans_histogram
from edge_agent.vision.nuclei import LOBE_MIN_AREA_RATIO, LOBES_MAX_GAP_RATIO, contour_area_px, join_lobes
from edge_agent.vision.segmentation import CLUSTERS, nuclear_levels, propose
from edge_agent.vision.stain import Stain
from edge_agent.vision.touching import Contour, outlines, separate

MIN_AREA_RATIO = 0.12
"""Least area of all lobes, in areas of a red cell. It is less than in a field, where no one has chosen the cell."""

MAX_OFFSET_RATIO = 0.5
"""How far outside the nucleus the centre of the window may lie, in diameters of a red cell: as between lobes."""


def find_central_nucleus(stain: Stain, red_cell_diameter_px: float) -> tuple[Contour, ...]:
    """The outlines of the parts of the nucleus nearest to a window's centre; none if there is no nucleus there."""
    clusters = kmeans_histogram(stain.absorbed_histogram(), CLUSTERS)
    if clusters.centres.size < 2:
        return ()
    least_px = LOBE_MIN_AREA_RATIO * np.pi / 4 * red_cell_diameter_px**2
    found = [each for each in outlines(propose(stain, nuclear_levels(clusters))) if contour_area_px(each) >= least_px]
    height, width = stain.nuclear.shape
    centre = width / 2, height / 2
    # What is farther away than two gaps between lobes belongs to other cells.
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
