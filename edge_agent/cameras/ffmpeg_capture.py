"""Reads video through OpenCV's FFmpeg, and passes on pictures undecoded if each is compressed by itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import cv2

from edge_agent.cameras.captured_jpeg import captured_jpeg
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels
from edge_agent.cameras.opencv_capture import OpenCvCapture
from edge_agent.contracts import CaptureSettings
from edge_agent.errors import ImageError
from edge_agent.vision.decode import read_header

_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_RAW_PACKETS = -1


class FfmpegCapture(OpenCvCapture):
    """A capture that detects damaged pictures, as far as FFmpeg allows.

    Motion JPEG is passed on packet by packet without decoding, and each picture is checked like a file, for its end and
    size. FFmpeg's decoder would fill missing parts with the picture before, and OpenCV would squeeze a picture of a new
    size into the size of the first one.

    Any other video (H.264, MPEG-4, VP8, ...) comes decoded, as BGR, and is not covered: OpenCV does not report what the
    decoder had to fill in, so a lost packet shows as smears of earlier pictures, and a change of size is hidden.
    Packets that the transport marks as damaged are dropped. Set a microscope's camera to Motion JPEG if you can.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._raw = False

    def open_video(self, target: str, parameters: Mapping[int, int]) -> None:
        """Open ``target``, a path or an address. Raises ``CameraAbsent``."""
        self.open(target, cv2.CAP_FFMPEG, parameters)
        self._raw = self.reported(cv2.CAP_PROP_FOURCC) == _MJPG and self.ask(cv2.CAP_PROP_FORMAT, _RAW_PACKETS)

    def read_picture(self) -> tuple[Encoded | Pixels | ImageError, CaptureSettings] | None:
        """The next picture and its size, or None if there is none (end, time-out). Raises ``CameraLost``."""
        image = self.read()
        if image is None:
            return None
        if self._raw:
            jpeg = captured_jpeg(image, self.name)
            if isinstance(jpeg, ImageError):
                return jpeg, CaptureSettings(pixel_format="MJPG")
            header = read_header(jpeg.data, max_pixels=sys.maxsize)
            return jpeg, CaptureSettings(height_px=header.height_px, width_px=header.width_px, pixel_format="MJPG")
        return Pixels(image, ColourOrder.BGR), CaptureSettings(height_px=image.shape[0], width_px=image.shape[1])

    def skip_to(self, number: int) -> None:
        """Make frame ``number`` of a file the next one, before any is read. Counted from 0. Raises ``CameraLost``."""
        # Raw packets cost nothing, and OpenCV does not find all of them by their number.
        if not self._raw and self.ask(cv2.CAP_PROP_POS_FRAMES, number):
            return
        for _ in range(number):
            if self.read() is None:
                return
