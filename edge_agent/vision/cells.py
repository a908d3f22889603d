"""Finds the cells of a view: red cells first, which say how large things are, then nuclei."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.red_cells import RedCells, measure_red_cells
from edge_agent.vision.segmentation import Segmentation, segment
from edge_agent.vision.stain import measure_stain

CELL_WINDOW_UM = 24.0
"""Side of the window around a nucleus: all of a blast or a monocyte, and a margin."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of a view."""

    red_cells: RedCells
    segmentation: Segmentation


def find_cells(
    view: NDArray[np.uint8], *, pixel_aspect: float = 1.0, red_cell_diameter_px: float | None = None
) -> Cells:
    """Find the cells of a denoised uint8 RGB view (h, w, 3).

    ``pixel_aspect`` is width by height of what one pixel covers; ``red_cell_diameter_px`` the diameter of red cells in
    heights of a pixel, if the scale is known. Otherwise it is measured, if the view shows enough of them.
    """
    stain = measure_stain(view)
    red_cells = measure_red_cells(stain, pixel_aspect)
    diameter = red_cells.guess_px if red_cell_diameter_px is None else red_cell_diameter_px
    return Cells(red_cells, segment(stain, pixel_aspect=pixel_aspect, red_cell_diameter_px=diameter))
