"""Measures an image of one cell: where its nucleus lies, and how large the nucleus and the red cells around it are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.cell_stain import cut_out_mask, is_cut_out
from edge_agent.vision.cells import find_cells
from edge_agent.vision.nuclei import Nucleus
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER

VIEW_PX = 160
"""Side of the view in which a cell is searched for: a red cell is some thirty pixels wide in it."""

MIN_SIDE_PX = 16
"""Smaller images are not searched."""

MAX_OFFSET_RATIO = 0.25
"""A nucleus whose centre is farther from the image's centre than this, in sides of the centre square, belongs to
another cell."""


@dataclass(frozen=True, slots=True)
class CellBox:
    """A nucleus, or a cell that was cut out on black, in pixels of the image."""

    left_px: float
    top_px: float
    width_px: float
    height_px: float
    area_px: float

    @property
    def centre_px(self) -> tuple[float, float]:
        """X and y of the centre."""
        return self.left_px + self.width_px / 2, self.top_px + self.height_px / 2


@dataclass(frozen=True, slots=True)
class CellImage:
    """The measurements of one image."""

    nucleus: CellBox | None
    """The nucleus nearest to the centre; None if there is none."""
    red_cell_diameter_px: float | None
    """As ``RedCells.diameter_px``, in pixels of the image: few images of one cell show enough red cells for it."""
    red_cell_guess_px: float | None
    """As ``RedCells.guess_px``. In a small image, whose edges cut cells, it is a tenth to a third too small."""


def measure_cell_image(rgb: NDArray[np.uint8], red_cell_diameter_px: float | None = None) -> CellImage:
    """Look at the centre square of a uint8 RGB image (h, w, 3) of one cell.

    ``red_cell_diameter_px`` is in pixels of the image, if its scale is known; it helps to join lobes.
    """
    height, width = rgb.shape[:2]
    side = min(height, width)
    if side < MIN_SIDE_PX:
        return CellImage(None, None, None)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[top : top + side, left : left + side]
    view_px = min(side, VIEW_PX)
    factor = side / view_px
    view = np.asarray(cv2.resize(square, (view_px, view_px), interpolation=cv2.INTER_AREA), np.uint8)
    if is_cut_out(view):
        return CellImage(_placed(_box_of(cut_out_mask(view)), factor, left, top), None, None)
    known_px = None if red_cell_diameter_px is None else red_cell_diameter_px / factor
    cells = find_cells(SEGMENTATION_DENOISER(view), red_cell_diameter_px=known_px)
    diameter_px, guess_px = cells.red_cells.diameter_px, cells.red_cells.guess_px
    nucleus = _central(cells.segmentation.nuclei, view_px)
    return CellImage(
        _placed(nucleus, factor, left, top),
        None if diameter_px is None else diameter_px * factor,
        None if guess_px is None else guess_px * factor,
    )


def _central(nuclei: tuple[Nucleus, ...], view_px: int) -> CellBox | None:
    """The nucleus whose edge is nearest to the centre of the view."""

    def offset_px(nucleus: Nucleus) -> float:
        x, y = nucleus.centre_px
        return math.hypot(x - view_px / 2, y - view_px / 2)

    nearest = min(nuclei, key=lambda each: offset_px(each) - math.sqrt(each.area_px / math.pi), default=None)
    if nearest is None or offset_px(nearest) > MAX_OFFSET_RATIO * view_px:
        return None
    return CellBox(nearest.left_px, nearest.top_px, nearest.width_px, nearest.height_px, nearest.area_px)


def _box_of(mask: NDArray[np.uint8]) -> CellBox | None:
    left, top, width, height = cv2.boundingRect(mask)
    return CellBox(left, top, width, height, cv2.countNonZero(mask)) if width else None


def _placed(box: CellBox | None, factor: float, left_px: int, top_px: int) -> CellBox | None:
    """Convert a box from pixels of the view to pixels of the image."""
    if box is None:
        return None
    return CellBox(
        left_px + box.left_px * factor,
        top_px + box.top_px * factor,
        box.width_px * factor,
        box.height_px * factor,
        box.area_px * factor * factor,
    )
