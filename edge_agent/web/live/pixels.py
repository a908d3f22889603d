"""Decodes the pixels of a frame, no finer and no more often than needed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras import ColourOrder, Encoded, Frame, Pixels
from edge_agent.errors import ImageError
from edge_agent.vision.decode import REDUCTIONS, decode_image, read_header

_START_OF_SCAN = b"\xff\xda"
_HUFFMAN_TABLE = b"\xff\xc4"
_EXIF = b"\xff\xe1"


class FramePixels:
    """The pixels of one frame. Belongs to one thread."""

    def __init__(self, frame: Frame) -> None:
        """Read the frame's size; nothing is decoded yet. Raises ``ImageError``."""
        image = frame.image
        if isinstance(image, ImageError):
            raise image
        self._image: Pixels | Encoded = image
        self._array: NDArray[np.uint8] | None = None
        self._reduction = 1
        if isinstance(image, Pixels):
            self.height_px, self.width_px = image.array.shape[:2]
        else:
            self._header = read_header(image.data)
            self.height_px, self.width_px = self._header.height_px, self._header.width_px

    @property
    def order(self) -> ColourOrder:
        """Order of the channels of ``decoded``."""
        return self._image.order if isinstance(self._image, Pixels) else ColourOrder.RGB

    @property
    def sendable_jpeg(self) -> bytes | None:
        """The camera's own JPEG, if a browser shows it correctly; else None.

        Motion JPEG may leave out the tables that browsers need, and EXIF data may turn the picture or say more than
        viewers should know.
        """
        data = self._image.data if isinstance(self._image, Encoded) else b""
        head = data[: data.find(_START_OF_SCAN)]
        return data if head.startswith(b"\xff\xd8") and _HUFFMAN_TABLE in head and _EXIF not in head else None

    def decoded(self, reduction: int) -> tuple[NDArray[np.uint8], int]:
        """uint8 (h, w, 3) in ``order``, and by how much it is smaller than the frame: ``reduction`` or less.

        Raises ``ImageError``.
        """
        if isinstance(self._image, Pixels):
            return self._image.array, 1
        if self._array is None or reduction < self._reduction:
            self._array = decode_image(self._image.data, reduction=reduction, header=self._header)
            self._reduction = reduction
        return self._array, self._reduction

    def shrunk(self, size_px: tuple[int, int], *, reduction: int = REDUCTIONS[0]) -> NDArray[np.uint8]:
        """The whole frame as uint8 RGB (h, w, 3), of at most this width and height. Raises ``ImageError``.

        It is decoded at the scale of ``reduction``, or finer if needed.
        """
        width, height = fitted(self.width_px, self.height_px, size_px)
        array, _ = self.decoded(min(reduction, fitting_reduction(self.width_px, self.height_px, width, height)))
        small = scaled_down(array, width, height)
        if self.order is ColourOrder.BGR:
            small = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return small


def fitted(width: int, height: int, most_px: tuple[int, int]) -> tuple[int, int]:
    """Width and height in these proportions, at most ``most_px``, never enlarged."""
    scale = min(1.0, most_px[0] / width, most_px[1] / height)
    return max(1, round(scale * width)), max(1, round(scale * height))


def fitting_reduction(width: int, height: int, needed_width: int, needed_height: int) -> int:
    """The largest scale-down at decoding that leaves this many pixels."""
    return next((each for each in REDUCTIONS if width // each >= needed_width and height // each >= needed_height), 1)


def scaled_down(array: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """``array`` at this size; ``array`` itself if it has it already.

    It is halved as often as possible, and interpolated for the rest: averaging other areas takes five times as long.
    """
    while (half := (array.shape[1] // 2, array.shape[0] // 2))[0] >= width and half[1] >= height:
        # An odd row and column are dropped, so that areas are whole pixels.
        even = array[: 2 * half[1], : 2 * half[0]]
        array = np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if array.shape[:2] != (height, width):
        array = np.asarray(cv2.resize(array, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    return array
