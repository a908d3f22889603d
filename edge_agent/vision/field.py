"""Cuts the field out of a frame: the part that is judged, at the model's input size, scale and proportions.

A model knows only the geometry of its training images. Many sets, such as ``all4``, are whole camera pictures squeezed
into a square; others are centre squares. The field of a frame is made in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.decode import REDUCTIONS

MAX_UPSCALING = 2.0
"""Largest factor by which a window may be enlarged to the input's size, in either direction; a smaller one shows too
little."""

MAX_VIEW_PX = 320 * 240
"""Largest area of a view: enough pixels in a cell to find its nucleus, and few enough to be fast."""

MAX_LINEAR_SHRINKING = 1.25
"""Beyond this factor, interpolation between neighbours skips pixels, and areas are averaged for a centre square."""

MAX_LINEAR_SQUEEZING = 2.75
"""The same for a squeezed window. The images of ``all4`` were made by linear interpolation from pictures three to
eleven times as large: it resembles them more than averaging does, and takes a tenth of the time."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The part of a camera's picture that the training images show, and how it was brought to the input's size."""

    size_px: int = 224
    """Height and width of the input."""
    aspect_width: int = 1
    aspect_height: int = 1
    """Width and height of the window, as a ratio such as 4 and 3."""
    half_chroma: bool = False
    """Whether the training images have their colour at half the resolution, as a JPEG with 4:2:0 does."""

    @property
    def pixel_aspect(self) -> float:
        """Width by height of the area that a pixel of the field covers in the specimen."""
        return self.aspect_width / self.aspect_height


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a frame, in pixels of that frame."""

    top_px: int
    left_px: int
    height_px: int
    width_px: int
    turned: bool = False
    """Whether its left side is the field's top. A smear has no right way up, but the window has long sides."""
    pixel_aspect: float = 1.0
    """Width by height of the area that a pixel of the frame covers: 1 for a camera's frame."""
    ready: bool = False
    """Whether the frame has the input's size, and so is a field already."""

    def reduced(self, reduction: int) -> Window:
        """The same part of a frame that was decoded at 1 / ``reduction``."""
        return Window(
            self.top_px // reduction,
            self.left_px // reduction,
            self.height_px // reduction,
            self.width_px // reduction,
            self.turned,
            self.pixel_aspect,
            self.ready,
        )


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The window for finding cells in: not squeezed, and with more pixels than the field if the frame has them.

    An image that is already a field has no more pixels, so its view is the field itself, squeezed as it is.
    """

    rgb: NDArray[np.uint8]
    """uint8 RGB (h, w, 3), of at most ``MAX_VIEW_PX`` unless it is the field itself; turned like the field."""
    window: Window
    """The part of the frame that the view shows."""

    @property
    def pixel_aspect(self) -> float:
        """Width by height of the area that a pixel covers: 1 unless the view is itself a squeezed field."""
        return self.window.pixel_aspect

    @property
    def frame_px_per_px(self) -> float:
        """Height of a pixel of the view in pixels of the frame."""
        down_px = self.window.width_px if self.window.turned else self.window.height_px
        return float(down_px / self.rgb.shape[0])

    def to_frame(self, y_px: float, x_px: float) -> tuple[float, float]:
        """Where a point of the view lies in the frame: y and x in pixels from the top left corner of each."""
        down, across = y_px / self.rgb.shape[0], x_px / self.rgb.shape[1]
        if self.window.turned:
            down, across = 1 - across, down
        return (
            self.window.top_px + down * self.window.height_px,
            self.window.left_px + across * self.window.width_px,
        )


def choose_window(
    height_px: int,
    width_px: int,
    geometry: Geometry,
    *,
    um_per_pixel: float | None = None,
    model_um_per_pixel: float | None = None,
) -> Window | None:
    """The centred window of the training images' proportions, or None if the frame does not show enough.

    A frame of the input's size is a field already, whatever the scales. If both physical scales are known,
    the window covers as many micrometres as the training images did, in both directions; else it is the largest one.
    ``model_um_per_pixel`` is the height of a pixel of the input. A frame that is higher than wide has its window
    turned by 90 degrees if the training images are wider than high. None if the frame is smaller than the window, or
    would have to be enlarged more than twofold in either direction.
    """
    size = geometry.size_px
    if (height_px, width_px) == (size, size):
        return Window(0, 0, size, size, pixel_aspect=geometry.pixel_aspect, ready=True)
    wide, high = geometry.aspect_width, geometry.aspect_height
    turned = (height_px > width_px and wide > high) or (height_px < width_px and wide < high)
    down, across = (width_px, height_px) if turned else (height_px, width_px)
    if um_per_pixel is not None and model_um_per_pixel is not None:
        wanted = size * model_um_per_pixel / um_per_pixel
        wanted_down, wanted_across = round(wanted), round(wanted * wide / high)
        if wanted_down > down or wanted_across > across:
            return None
        down, across = wanted_down, wanted_across
    else:
        down, across = min(down, round(across * high / wide)), min(across, round(down * wide / high))
    if min(down, across) * MAX_UPSCALING < size:
        return None
    high_px, wide_px = (across, down) if turned else (down, across)
    return Window((height_px - high_px) // 2, (width_px - wide_px) // 2, high_px, wide_px, turned)


def choose_reduction(window: Window, geometry: Geometry) -> int:
    """The largest scale-down at decoding that still leaves the window as many pixels as the input has, each way."""
    shorter_px = min(window.height_px, window.width_px)
    return next((r for r in REDUCTIONS if shorter_px // r >= geometry.size_px), 1)


def take(array: NDArray[np.uint8], window: Window, geometry: Geometry, *, reduction: int = 1) -> NDArray[np.uint8]:
    """The pixels of ``window``, no more of them than the field and its view need. ``fit`` makes both from them.

    ``array`` is uint8 (h, w, 3) in any order of colours, decoded at 1 / ``reduction``. Areas of 2 x 2 px are averaged
    as long as the window stays at least as large as the input.
    """
    if window.ready:
        return np.ascontiguousarray(array)
    place = window.reduced(reduction)
    part = array[place.top_px : place.top_px + place.height_px, place.left_px : place.left_px + place.width_px]
    while min(half := (part.shape[0] // 2, part.shape[1] // 2)) >= geometry.size_px:
        # An odd row and column are dropped, so that areas are whole pixels.
        even = part[: 2 * half[0], : 2 * half[1]]
        part = np.asarray(cv2.resize(even, half[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.ascontiguousarray(part)


def fit(rgb: NDArray[np.uint8], window: Window, geometry: Geometry) -> tuple[NDArray[np.uint8], View]:
    """The field and its view from what ``take`` returned, as RGB. The field is uint8 RGB (size, size, 3)."""
    if window.ready:
        return rgb, View(rgb, window)
    size = geometry.size_px
    field, view = _scale(rgb, geometry), shrink(rgb, MAX_VIEW_PX)
    if window.turned:
        field, view = _turn(field), _turn(view)
    if geometry.half_chroma:
        field = _halve_chroma(field, size)
    return field, View(view, window)


def cut_field(rgb: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
    """The field of a uint8 RGB (h, w, 3) array at (size, size, 3). ``ValueError`` if it is too small."""
    window = choose_window(rgb.shape[0], rgb.shape[1], geometry)
    if window is None:
        raise ValueError(f"{rgb.shape[1]} x {rgb.shape[0]} px is too small for a field of {geometry.size_px} px")
    return fit(take(rgb, window, geometry), window, geometry)[0]


def _scale(rgb: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
    size = geometry.size_px
    if rgb.shape[:2] == (size, size):
        return rgb
    most = MAX_LINEAR_SHRINKING if geometry.pixel_aspect == 1 else MAX_LINEAR_SQUEEZING
    how = cv2.INTER_AREA if max(rgb.shape[:2]) > most * size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (size, size), interpolation=how), dtype=np.uint8)


def shrink(rgb: NDArray[np.uint8], most_px: int = MAX_VIEW_PX) -> NDArray[np.uint8]:
    """A uint8 (h, w, 3) array with at most ``most_px`` pixels.

    Linear interpolation is enough, as ``take`` leaves fewer than four times as many.
    """
    height, width = rgb.shape[:2]
    if height * width <= most_px:
        return rgb
    scale = math.sqrt(most_px / (height * width))
    size = int(width * scale), int(height * scale)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _turn(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.rotate(rgb, cv2.ROTATE_90_CLOCKWISE), dtype=np.uint8)


def _halve_chroma(rgb: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Halve the resolution of the colour and keep the brightness, as storing a JPEG with 4:2:0 does."""
    fine = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    half = (size + 1) // 2
    coarse = cv2.resize(fine, (half, half), interpolation=cv2.INTER_AREA)
    merged = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    cv2.mixChannels([fine], [merged], [0, 0])
    return np.asarray(cv2.cvtColor(merged, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
