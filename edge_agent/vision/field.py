"""Cuts the field out of a frame: the square part that is judged, at the model's input size and scale."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.decode import REDUCTIONS

MAX_UPSCALING = 2.0
"""Largest factor by which a window may be enlarged to the input's size; a smaller one shows too little."""

MAX_LINEAR_SHRINKING = 1.25
"""Beyond this factor, interpolation between neighbours would skip pixels."""


@dataclass(frozen=True, slots=True)
class Window:
    """A square of a frame, in pixels of that frame."""

    top_px: int
    left_px: int
    side_px: int

    def reduced(self, reduction: int) -> Window:
        """The same square in a frame that was decoded at 1 / ``reduction``."""
        return Window(self.top_px // reduction, self.left_px // reduction, self.side_px // reduction)


def choose_window(
    height_px: int,
    width_px: int,
    *,
    size_px: int,
    um_per_pixel: float | None = None,
    model_um_per_pixel: float | None = None,
) -> Window | None:
    """The centred square to judge, or None if the frame does not show enough.

    If both physical scales are known, the square covers as many micrometres as the training images did; else it is the
    largest one. None if the frame is smaller than that, or would have to be enlarged more than twofold.
    """
    side = min(height_px, width_px)
    if um_per_pixel is not None and model_um_per_pixel is not None:
        wanted = round(size_px * model_um_per_pixel / um_per_pixel)
        if wanted > side:
            return None
        side = wanted
    if side * MAX_UPSCALING < size_px:
        return None
    return Window((height_px - side) // 2, (width_px - side) // 2, side)


def choose_reduction(window: Window, size_px: int) -> int:
    """The largest scale-down at decoding that still leaves the window as many pixels as the input has."""
    return next((r for r in REDUCTIONS if window.side_px // r >= size_px), 1)


def cut(array: NDArray[np.uint8], window: Window, size_px: int) -> NDArray[np.uint8]:
    """Cut ``window`` out of a uint8 (h, w, 3) array and scale it to (size_px, size_px, 3).

    Shrinking averages areas of 2 x 2 px as long as the square stays large enough, to avoid aliasing; a small remaining
    factor is interpolated linearly. This takes a sixth of the time of averaging fractional areas.
    """
    square = array[window.top_px : window.top_px + window.side_px, window.left_px : window.left_px + window.side_px]
    while (half := square.shape[0] // 2) >= size_px:
        # An odd row and column are dropped, so that areas are whole pixels.
        even = square[: 2 * half, : 2 * half]
        square = np.asarray(cv2.resize(even, (half, half), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if square.shape[0] == size_px:
        return np.ascontiguousarray(square)
    how = cv2.INTER_AREA if square.shape[0] > MAX_LINEAR_SHRINKING * size_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (size_px, size_px), interpolation=how), dtype=np.uint8)


def square_field(array: NDArray[np.uint8], size_px: int = 224) -> NDArray[np.uint8]:
    """The centre square of a uint8 (h, w, 3) array at (size_px, size_px, 3). ``ValueError`` if it is too small."""
    window = choose_window(array.shape[0], array.shape[1], size_px=size_px)
    if window is None:
        raise ValueError(f"{array.shape[1]} x {array.shape[0]} px is too small for a field of {size_px} px")
    return cut(array, window, size_px)
