"""Prepares a frame for viewers: measures, cuts, scales and compresses it, each step once for all viewers."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from edge_agent.cameras import Frame
from edge_agent.vision.decode import REDUCTIONS
from edge_agent.vision.focus import VIEW_PX, focus_score
from edge_agent.vision.quality import measure_exposure, thumbnail
from edge_agent.web.live.messages import MAX_WIDTH_PX, LiveHeader, View
from edge_agent.web.live.pixels import FramePixels, fitted, fitting_reduction, scaled_down

_QUALITY = 80
_LEAST_PX = 8
"""Fewest pixels of a region, across and down; a smaller region is enlarged to this."""
_THUMBNAIL_SOURCE_PX = 320, 240


@dataclass(frozen=True, slots=True)
class _Cut:
    """A region in pixels of the frame, and the width and height of its picture."""

    left: int
    top: int
    width: int
    height: int
    size: tuple[int, int]


class LiveFrame:
    """A frame that viewers look at. Belongs to one thread."""

    def __init__(self, frame: Frame, number: int, views: Iterable[View]) -> None:
        """Decode and measure a frame, fine enough for ``views``. Another view may decode it again.

        Raises ``ImageError``.
        """
        self.frame = frame
        self.number = number
        self._pixels = FramePixels(frame)
        self._jpegs: dict[_Cut, bytes] = {}
        needed = [self._reduction(cut) for cut in map(self._cut, views) if not self._is_camera_picture(cut)]
        small = self._pixels.shrunk(VIEW_PX, reduction=min(needed, default=REDUCTIONS[0]))
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        self._focus_score = focus_score(grey)
        self._exposure = measure_exposure(small, grey)
        self.thumbnail = thumbnail(small)
        """uint8 grey (32, 32) of the whole frame."""

    def message(self, view: View, *, reading: UUID | None, skipped_count: int) -> bytes:
        """The length of the header as four bytes, big-endian, the header as JSON, and the JPEG."""
        cut = self._cut(view)
        if cut not in self._jpegs:
            self._jpegs[cut] = self._jpeg(cut)
        width, height = self._pixels.width_px, self._pixels.height_px
        header = LiveHeader(
            id=self.number,
            captured_at=self.frame.captured_at,
            camera=self.frame.camera,
            width_px=width,
            height_px=height,
            region=(cut.left / width, cut.top / height, cut.width / width, cut.height / height),
            focus_score=round(self._focus_score, 3),
            brightness_pct=round(self._exposure.brightness_pct, 2),
            clipped_bright_pct=round(self._exposure.clipped_bright_pct, 2),
            clipped_dark_pct=round(self._exposure.clipped_dark_pct, 2),
            reading=reading,
            skipped_count=skipped_count,
        ).to_json()
        return b"".join((struct.pack(">I", len(header)), header, self._jpegs[cut]))

    def _cut(self, view: View) -> _Cut:
        left, width = _span(view.region[0], view.region[2], self._pixels.width_px)
        top, height = _span(view.region[1], view.region[3], self._pixels.height_px)
        return _Cut(left, top, width, height, fitted(width, height, (view.max_width_px, MAX_WIDTH_PX)))

    def _is_camera_picture(self, cut: _Cut) -> bool:
        whole = self._pixels.width_px, self._pixels.height_px
        return (cut.width, cut.height) == cut.size == whole and self._pixels.sendable_jpeg is not None

    @staticmethod
    def _reduction(cut: _Cut) -> int:
        return fitting_reduction(cut.width, cut.height, *cut.size)

    def _jpeg(self, cut: _Cut) -> bytes:
        if self._is_camera_picture(cut) and (jpeg := self._pixels.sendable_jpeg) is not None:
            return jpeg
        array, by = self._pixels.decoded(self._reduction(cut))
        part = array[
            cut.top // by : -(-(cut.top + cut.height) // by), cut.left // by : -(-(cut.left + cut.width) // by)
        ]
        picture = np.ascontiguousarray(scaled_down(part, *cut.size))
        return bytes(
            simplejpeg.encode_jpeg(
                picture, quality=_QUALITY, colorspace=self._pixels.order.value, colorsubsampling="420"
            )
        )


def frame_thumbnail(frame: Frame) -> NDArray[np.uint8]:
    """The thumbnail that a ``LiveFrame`` of this frame would have. Raises ``ImageError``."""
    return thumbnail(FramePixels(frame).shrunk(_THUMBNAIL_SOURCE_PX))


def _span(start: float, extent: float, whole_px: int) -> tuple[int, int]:
    """First pixel and number of pixels."""
    count = min(whole_px, max(_LEAST_PX, round(extent * whole_px)))
    return min(round(start * whole_px), whole_px - count), count
