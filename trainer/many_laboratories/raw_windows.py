"""Cuts the windows of cells as their laboratory shows them: stain and surround are not evened out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.cell_scale import CellScale
from edge_agent.errors import ImageError
from edge_agent.vision.cell_windows import cut_cell
from edge_agent.vision.cells import CELL_WINDOW_UM
from edge_agent.vision.decode import decode_image
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.windows.cutting import WINDOW_PX


def raw_windows(cells: Sequence[ListedCell], scale: CellScale) -> list[NDArray[np.uint8] | None]:
    """The window of each cell, uint8 RGB (96, 96, 3); None for a picture that cannot be read."""
    return [_window(each.path, scale) for each in cells]


def _window(path: Path, scale: CellScale) -> NDArray[np.uint8] | None:
    try:
        rgb = decode_image(path.read_bytes())
    except ImageError:
        return None
    return cut_cell(rgb, scale.um_per_pixel_of(*rgb.shape[:2]), CELL_WINDOW_UM, WINDOW_PX).window
