"""Cuts the window out of a cell's canvas, as the device does or varied, in functions that can be passed as changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.cells.windows.cutting import cut_canvas, random_placement
from trainer.cells.windows.variation import vary


def cut_as_on_device(canvas: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
    """The window that the device cuts out of a uint8 RGB (160, 160, 3) canvas: uint8 RGB (96, 96, 3)."""
    return cut_canvas(canvas)


def cut_varied(canvas: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A window as another laboratory would have taken it, turned at random. Shapes are as for ``cut_as_on_device``."""
    return vary(cut_canvas(canvas, random_placement(rng)), rng)
