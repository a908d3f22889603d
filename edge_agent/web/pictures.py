"""The pictures of a reading on the microscope page."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from edge_agent.analysis.reading import Explanation, Reading
from edge_agent.cameras.frame import ColourOrder, Frame, Pixels
from edge_agent.contracts import Result
from edge_agent.errors import ImageError
from edge_agent.vision.decode import REDUCTIONS, decode_image, read_header
from edge_agent.vision.field import Window
from edge_agent.web.cell_crops import foremost, side_by_side
from edge_agent.web.layers import outline_nuclei, tint_evidence, to_png

LONG_SIDE_PX = 640
"""Longer side of a field's picture: as sharp as a phone shows it, at some 40 kB."""
THUMBNAIL_PX = 160
LAYER_PX = 320
_QUALITY = 85

log = logging.getLogger(__name__)

Region = tuple[float, float, float, float]
"""Left, top, width and height as shares of the frame's."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadingPicture:
    """A field as the camera saw it, compressed, and the data for drawing its layers."""

    width_px: int
    height_px: int
    region: Region
    """Position of the field in the frame."""
    turned: bool
    """Whether the picture is turned clockwise by 90 degrees against the frame."""
    jpeg: bytes = field(repr=False)
    thumbnail: bytes = field(repr=False)
    nuclei_png: bytes = field(repr=False)
    activation_map: NDArray[np.float16] | None = field(repr=False)
    """(rows, columns, classes)."""
    class_index: int | None
    """Index of the label's class."""
    frame_size_px: tuple[int, int] | None = None
    """Height and width of the frame, in whose pixels the cells lie; None if it is not known."""
    foremost: tuple[int, ...] = ()
    """The cells of the result that look most like blasts, by their index, the foremost first."""
    crops: bytes | None = field(default=None, repr=False)
    """These cells side by side, as a JPEG of ``CROP_PX`` squares; None if there are none."""

    @property
    def explained(self) -> bool:
        """Whether there is a layer of evidence."""
        return self.activation_map is not None and self.class_index is not None

    def evidence_png(self) -> bytes | None:
        """The layer of evidence for the reading's label; None if there is no evidence to show."""
        if self.activation_map is None or self.class_index is None:
            return None
        size = self.height_px * LAYER_PX // LONG_SIDE_PX, self.width_px * LAYER_PX // LONG_SIDE_PX
        return to_png(tint_evidence(self.activation_map.astype(np.float32), self.class_index, size))


def make_picture(result: Result, reading: Reading) -> ReadingPicture | None:
    """The picture of a reading; None if it has no field."""
    explanation = reading.explanation
    if explanation is None:
        return None
    window = explanation.window
    rgb = None if window is None or window.ready else _cut(reading.frame, window)
    height, width = _size_px(explanation, LONG_SIDE_PX)
    labels = list(result.probabilities or ())
    picture = _resized(explanation.field if rgb is None else rgb, height, width)
    map_ = explanation.class_activation_map
    windows = _foremost_windows(result, explanation)
    turned = window is not None and window.turned
    return ReadingPicture(
        width_px=width,
        height_px=height,
        region=_region(reading.frame, window),
        turned=turned,
        jpeg=_to_jpeg(picture),
        thumbnail=_to_jpeg(_resized(picture, *_size_px(explanation, THUMBNAIL_PX))),
        nuclei_png=to_png(outline_nuclei(explanation.nuclei_mask, (height, width))),
        activation_map=None if map_ is None else map_.astype(np.float16),
        class_index=labels.index(result.label) if result.label in labels else None,
        frame_size_px=_frame_size_px(reading.frame),
        foremost=tuple(windows),
        crops=_to_jpeg(side_by_side(list(windows.values()), turned=turned)) if windows else None,
    )


def picture_of_frame(rgb: NDArray[np.uint8]) -> ReadingPicture:
    """The picture, without layers, of a reading of which only the frame is known, uint8 RGB (h, w, 3)."""
    height, width = rgb.shape[0], rgb.shape[1]
    ratio = LONG_SIDE_PX / max(height, width)
    shown = _resized(rgb, max(1, round(height * ratio)), max(1, round(width * ratio)))
    small = THUMBNAIL_PX / LONG_SIDE_PX
    thumbnail = _resized(shown, max(1, round(shown.shape[0] * small)), max(1, round(shown.shape[1] * small)))
    return ReadingPicture(
        width_px=shown.shape[1],
        height_px=shown.shape[0],
        region=(0.0, 0.0, 1.0, 1.0),
        turned=False,
        jpeg=_to_jpeg(shown),
        thumbnail=_to_jpeg(thumbnail),
        nuclei_png=to_png(np.zeros((1, 1, 4), np.uint8)),
        activation_map=None,
        class_index=None,
        frame_size_px=(rgb.shape[0], rgb.shape[1]),
    )


def _foremost_windows(result: Result, explanation: Explanation) -> dict[int, NDArray[np.uint8]]:
    """The windows of the cells that look most like blasts, by their index, the foremost first."""
    seen = explanation.cell_windows
    chosen = ((index, seen[index]) for index in foremost(result.cells) if index < len(seen))
    return {index: window for index, window in chosen if isinstance(window, np.ndarray)}


def _size_px(explanation: Explanation, long_side_px: int) -> tuple[int, int]:
    """Height and width of a picture with square pixels."""
    window = explanation.window
    if window is None:
        aspect = 1.0
    elif window.ready:
        aspect = window.pixel_aspect
    else:
        aspect = window.height_px / window.width_px if window.turned else window.width_px / window.height_px
    if aspect >= 1:
        return round(long_side_px / aspect), long_side_px
    return long_side_px, round(long_side_px * aspect)


def _region(frame: Frame, window: Window | None) -> Region:
    size = _frame_size_px(frame)
    if window is None or size is None:
        return 0.0, 0.0, 1.0, 1.0
    height, width = size
    return window.left_px / width, window.top_px / height, window.width_px / width, window.height_px / height


def _frame_size_px(frame: Frame) -> tuple[int, int] | None:
    image = frame.image
    if isinstance(image, Pixels):
        return image.array.shape[0], image.array.shape[1]
    if isinstance(image, ImageError):
        return None
    # The frame was read before, within the configured limit.
    header = read_header(image.data, max_pixels=sys.maxsize)
    return header.height_px, header.width_px


def _cut(frame: Frame, window: Window) -> NDArray[np.uint8] | None:
    """The window as uint8 RGB (h, w, 3), turned like the field; None if the frame cannot be decoded once more."""
    image, reduction = frame.image, 1
    if isinstance(image, ImageError):
        return None
    if isinstance(image, Pixels):
        rgb = image.array
    else:
        try:
            header = read_header(image.data)
            longest = max(window.height_px, window.width_px)
            reduction = next((each for each in REDUCTIONS if longest // each >= LONG_SIDE_PX), 1)
            rgb = decode_image(image.data, reduction=reduction, header=header)
        except ImageError as error:
            # The frame was decoded for the reading, but is too large to be worth decoding again for a picture.
            log.debug("the picture is that of the model's input: %s", error)
            return None
    place = window.reduced(reduction)
    rgb = rgb[place.top_px : place.top_px + place.height_px, place.left_px : place.left_px + place.width_px]
    if isinstance(image, Pixels) and image.order is ColourOrder.BGR:
        rgb = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return np.asarray(cv2.rotate(rgb, cv2.ROTATE_90_CLOCKWISE), dtype=np.uint8) if window.turned else rgb


def _resized(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    if rgb.shape[:2] == (height, width):
        return np.ascontiguousarray(rgb)
    how = cv2.INTER_AREA if height < rgb.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=how), dtype=np.uint8)


def _to_jpeg(rgb: NDArray[np.uint8]) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=_QUALITY, colorspace="RGB"))
