"""The pictures of a reading on the microscope page."""

from __future__ import annotations

import logging
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
from edge_agent.web.layers import outline_nuclei, tint_evidence, to_png

LONG_SIDE_PX = 640
"""Of a field's picture: as sharp as a phone shows it, at some 40 kB."""
THUMBNAIL_PX = 160
LAYER_PX = 320
_QUALITY = 85

log = logging.getLogger(__name__)

Region = tuple[float, float, float, float]
"""Left, top, width and height as shares of the frame's."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadingPicture:
    """A field as the camera saw it, compressed, and what its layers are drawn from."""

    width_px: int
    height_px: int
    region: Region
    """Where the field lies in the frame."""
    turned: bool
    """Whether the picture is turned clockwise by 90 degrees against the frame."""
    jpeg: bytes = field(repr=False)
    thumbnail: bytes = field(repr=False)
    nuclei_png: bytes = field(repr=False)
    activation_map: NDArray[np.float16] | None = field(repr=False)
    """(rows, columns, classes)."""
    class_index: int | None
    """Of the label."""

    @property
    def explained(self) -> bool:
        """Whether there is a layer of evidence."""
        return self.activation_map is not None and self.class_index is not None

    def evidence_png(self) -> bytes | None:
        """The layer of evidence for the reading's label; None if nothing is explained."""
        if self.activation_map is None or self.class_index is None:
            return None
        size = _scaled(self.height_px, self.width_px, LAYER_PX)
        return to_png(tint_evidence(self.activation_map.astype(np.float32), self.class_index, size))


def make_picture(result: Result, reading: Reading) -> ReadingPicture | None:
    """The picture of a reading; None if it has no field."""
    explanation = reading.explanation
    if explanation is None:
        return None
    rgb, region = _cut(reading.frame, explanation)
    height, width = _scaled(rgb.shape[0], rgb.shape[1], LONG_SIDE_PX)
    labels = list(result.probabilities or ())
    return ReadingPicture(
        width_px=width,
        height_px=height,
        region=region,
        turned=explanation.window is not None and explanation.window.turned,
        jpeg=_to_jpeg(_resized(rgb, height, width)),
        thumbnail=_to_jpeg(_resized(rgb, *_scaled(height, width, THUMBNAIL_PX))),
        nuclei_png=to_png(outline_nuclei(explanation.nuclei_mask, (height, width))),
        activation_map=None
        if explanation.class_activation_map is None
        else explanation.class_activation_map.astype(np.float16),
        class_index=labels.index(result.label) if result.label in labels else None,
    )


def _cut(frame: Frame, explanation: Explanation) -> tuple[NDArray[np.uint8], Region]:
    """The field as uint8 RGB (h, w, 3) with square pixels, and where it lies in the frame."""
    window, rgb = explanation.window, None
    if window is not None and not window.ready:
        rgb = _decoded(frame, window)
    if window is None or rgb is None:
        aspect = 1.0 if window is None else window.pixel_aspect
        squeezed = explanation.field
        height, width = squeezed.shape[:2]
        return _resized(squeezed, height, round(width * aspect)), (0.0, 0.0, 1.0, 1.0)
    picture, reduction, frame_height, frame_width = rgb
    place = window.reduced(reduction)
    part = picture[place.top_px : place.top_px + place.height_px, place.left_px : place.left_px + place.width_px]
    if window.turned:
        part = np.asarray(cv2.rotate(part, cv2.ROTATE_90_CLOCKWISE), dtype=np.uint8)
    region = (
        window.left_px / frame_width,
        window.top_px / frame_height,
        window.width_px / frame_width,
        window.height_px / frame_height,
    )
    return part, region


def _decoded(frame: Frame, window: Window) -> tuple[NDArray[np.uint8], int, int, int] | None:
    """RGB, by what it was scaled down, and the frame's height and width; None if it cannot be decoded."""
    image = frame.image
    if isinstance(image, ImageError):
        return None
    if isinstance(image, Pixels):
        array = image.array
        if image.order is ColourOrder.BGR:
            array = np.asarray(cv2.cvtColor(array, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return array, 1, array.shape[0], array.shape[1]
    try:
        header = read_header(image.data)
        longest = max(window.height_px, window.width_px)
        reduction = next((each for each in REDUCTIONS if longest // each >= LONG_SIDE_PX), 1)
        rgb = decode_image(image.data, reduction=reduction, header=header)
    except ImageError as error:
        # It was decoded for the reading; a file may still be larger than is worth decoding once more for a picture.
        log.debug("the picture is that of the model's input: %s", error)
        return None
    return rgb, reduction, header.height_px, header.width_px


def _scaled(height: int, width: int, long_side: int) -> tuple[int, int]:
    ratio = long_side / max(height, width)
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def _resized(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    if rgb.shape[:2] == (height, width):
        return np.ascontiguousarray(rgb)
    how = cv2.INTER_AREA if height < rgb.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=how), dtype=np.uint8)


def _to_jpeg(rgb: NDArray[np.uint8]) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=_QUALITY, colorspace="RGB"))
