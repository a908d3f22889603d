"""The scale by red cells, which lie in every smear and differ little in size."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.calibration.scales import FrameScale
from edge_agent.errors import ScaleUnreadable
from edge_agent.vision.field import MAX_VIEW_PX
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER
from edge_agent.vision.red_cells import DIAMETER_RANGE_UM, DIAMETER_UM, MIN_COUNT, measure_red_cells
from edge_agent.vision.stain import measure_stain

MIN_SIDE_PX = 64


def measure_red_cell_scale(rgb: NDArray[np.uint8]) -> FrameScale:
    """The scale of a uint8 RGB (h, w, 3) frame, whose pixels are square.

    The interval is that of the red cells' median diameter in pixels, widened by the uncertainty of their real size.
    Raises ``ScaleUnreadable`` if too few red cells can be measured.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        raise ScaleUnreadable(
            f"The picture has only {width} x {height} px.", remedy="Use the camera's full resolution."
        )
    # As many pixels as the view in which a reading finds cells.
    shrinking = max(1.0, math.sqrt(height * width / MAX_VIEW_PX))
    size = round(width / shrinking), round(height / shrinking)
    view = rgb if shrinking == 1.0 else np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    found = measure_red_cells(measure_stain(SEGMENTATION_DENOISER(view)))
    if found.diameter_px is None or found.low_px is None or found.high_px is None:
        raise ScaleUnreadable(
            f"Only {found.count} single red cells could be measured in the picture."
            if found.count < MIN_COUNT
            else "The round things in the picture differ too much in size to be red cells."
        )
    smallest_um, largest_um = DIAMETER_RANGE_UM
    return FrameScale(
        um_per_pixel=DIAMETER_UM / (found.diameter_px * shrinking),
        low=smallest_um / (found.high_px * shrinking),
        high=largest_um / (found.low_px * shrinking),
        marks_count=found.count,
    )
