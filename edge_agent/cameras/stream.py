"""Network streams."""

from __future__ import annotations

import cv2

from edge_agent.cameras.ffmpeg_capture import FfmpegCapture
from edge_agent.cameras.frame import Frame, frame_now
from edge_agent.cameras.settings import StreamSettings
from edge_agent.errors import CameraAbsent, CameraLost


class StreamCamera:
    """Live. ``Encoded`` JPEG of a Motion JPEG stream, else BGR pixels; see ``FfmpegCapture`` for the differences.

    An incomplete JPEG is a frame with an ``ImageError``. The size may change from frame to frame.
    ``Frame.source`` is ``scheme://host:port#frame=N``, counted from 0 since the stream was opened.
    """

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._capture = FfmpegCapture(f"Stream {settings.url}")
        self._frames_count = 0

    @property
    def id(self) -> str:
        """One topic segment."""
        return self._settings.id

    @property
    def live(self) -> bool:
        """True."""
        return True

    def open(self) -> None:
        """Open the address. Raises ``CameraAbsent``."""
        settings = self._settings
        timeouts = {
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: round(1000 * settings.open_timeout_s),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC: round(1000 * settings.read_timeout_s),
        }
        try:
            self._capture.open_video(settings.url.get_secret_value(), timeouts)
        except CameraAbsent as error:
            raise CameraAbsent(
                error.message,
                remedy="Check the address, user and password in camera.url, and that this device can reach the host.",
            ) from None

    def read(self) -> Frame:
        """The next frame. Raises ``CameraLost`` if none arrives."""
        picture = self._capture.read_picture()
        if picture is None:
            raise CameraLost(f"{self._capture.name} ended or stalled after {self._frames_count} frames.")
        number, self._frames_count = self._frames_count, self._frames_count + 1
        image, reported = picture
        return frame_now(self.id, image, settings=reported, source=f"{self._settings.url}#frame={number}")

    def close(self) -> None:
        """Close the connection."""
        self._capture.close()
