"""Video files and network streams, through FFmpeg as OpenCV carries it."""

from __future__ import annotations

import logging
from typing import NoReturn
from urllib.parse import urlsplit

import cv2

from edge_agent.cameras.frame import ColourOrder, Frame, Pixels, frame_now
from edge_agent.cameras.opencv_capture import OpenCvCapture
from edge_agent.cameras.settings import StreamSettings, VideoSettings
from edge_agent.contracts import CaptureSettings
from edge_agent.errors import CameraAbsent, CameraLost, EndOfFrames

_log = logging.getLogger(__name__)


def redacted(url: str) -> str:
    """``url`` without what may be secret: user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


class VideoCamera:
    """A file, every frame of which counts, or a live stream. Pixels are BGR, as OpenCV decodes them.

    ``Frame.source`` is ``path#frame=N``, counted from 0 since it was opened.
    """

    def __init__(self, settings: VideoSettings | StreamSettings) -> None:
        self._settings = settings
        if isinstance(settings, StreamSettings):
            self._place = redacted(settings.url.get_secret_value())
            self._capture = OpenCvCapture(f"Stream {self._place}")
        else:
            self._place = str(settings.path)
            self._capture = OpenCvCapture(f"Video {self._place}")
        self._frames_count = 0

    @property
    def id(self) -> str:
        """One topic segment."""
        return self._settings.id

    @property
    def live(self) -> bool:
        """True for a stream, False for a file."""
        return isinstance(self._settings, StreamSettings)

    def open(self) -> None:
        """Open the file or address. Raises ``CameraAbsent``."""
        settings = self._settings
        if isinstance(settings, StreamSettings):
            timeouts = {
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: round(1000 * settings.open_timeout_s),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC: round(1000 * settings.read_timeout_s),
            }
            self._capture.open(settings.url.get_secret_value(), cv2.CAP_FFMPEG, timeouts)
            return
        remedy = "Correct camera.path in the configuration; the file must be a video that FFmpeg can read."
        if not settings.path.is_file():
            raise CameraAbsent(f"There is no file {settings.path}.", remedy=remedy)
        try:
            self._capture.open(str(settings.path.absolute()), cv2.CAP_FFMPEG, {})
        except CameraAbsent:
            raise CameraAbsent(f"{settings.path} is not a readable video.", remedy=remedy) from None

    def read(self) -> Frame:
        """The next frame. Raises ``EndOfFrames`` at the end of a file, ``CameraLost`` at that of a stream."""
        image = self._capture.read()
        if image is None:
            self._end()
        number = self._frames_count
        self._frames_count += 1
        return frame_now(
            self.id,
            Pixels(image, ColourOrder.BGR),
            settings=CaptureSettings(height_px=image.shape[0], width_px=image.shape[1]),
            source=f"{self._place}#frame={number}",
        )

    def close(self) -> None:
        """Let go of the file or the connection."""
        self._capture.close()

    def _end(self) -> NoReturn:
        if self.live:
            raise CameraLost(f"{self._capture.name} ended or stood still after {self._frames_count} frames.")
        if self._frames_count == 0:
            raise CameraLost(f"{self._capture.name} holds no frame that can be decoded.")
        announced = self._capture.reported(cv2.CAP_PROP_FRAME_COUNT)
        if announced and self._frames_count < announced:
            _log.warning(
                "%s: %s gave %d frames of the %d it announces; it may be cut off.",
                CameraLost.code,
                self._capture.name,
                self._frames_count,
                announced,
            )
        raise EndOfFrames(f"{self._capture.name} has no further frame.")
