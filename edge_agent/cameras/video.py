"""Video files."""

from __future__ import annotations

import cv2

from edge_agent.cameras.ffmpeg_capture import FfmpegCapture
from edge_agent.cameras.file_names import printable_name
from edge_agent.cameras.frame import Frame, frame_now
from edge_agent.cameras.read_position import ReadPosition
from edge_agent.cameras.regular_file import open_regular
from edge_agent.cameras.settings import VideoSettings
from edge_agent.errors import CameraAbsent, CameraLost, EndOfFrames, ImageError

VideoPosition = ReadPosition[int]
"""Number of a frame, from 0."""

_EXACT_SUFFIXES = frozenset({".avi"})
"""Formats that declare the number of their frames; for others FFmpeg estimates it from the duration."""
_ESTIMATE_TOLERANCE_RATIO = 0.02


class VideoCamera:
    """Not live: every frame of the file counts. ``Encoded`` JPEG of Motion JPEG, else BGR pixels.

    ``Frame.source`` is ``name#frame=N``, counted from 0. A file that ends before its declared number of frames gives
    one more frame, with an error about it. A camera created with the ``position`` of another continues where the other
    stopped.
    """

    def __init__(self, settings: VideoSettings, position: VideoPosition | None = None) -> None:
        self._settings = settings
        self._position = position if position is not None else VideoPosition()
        self._name = printable_name(settings.path.name)
        self._capture = FfmpegCapture(f"Video {self._name}")
        self._next_number = 0
        self._before: int | None = None
        self._given_up = False

    @property
    def id(self) -> str:
        """One topic segment."""
        return self._settings.id

    @property
    def live(self) -> bool:
        """False."""
        return False

    def open(self) -> None:
        """Open the file. Raises ``CameraAbsent``."""
        path = self._settings.path
        shown = printable_name(path)
        remedy = "Correct camera.path in the configuration; the file must be a video that FFmpeg can read."
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise CameraAbsent(f"There is no file {shown}.", remedy=remedy) from None
        except OSError as error:
            raise CameraAbsent(f"{shown} cannot be read: {error.strerror}.", remedy=remedy) from None
        try:
            with open_regular(path, shown) as descriptor:
                # By its descriptor: native code must not see the name, which may not be UTF-8 or may look like an
                # address.
                self._capture.open_video(f"/proc/self/fd/{descriptor}", {})
        except ImageError as error:
            raise CameraAbsent(error.message, remedy=remedy) from None
        except CameraAbsent:
            raise CameraAbsent(f"{shown} is not a readable video.", remedy=remedy) from None
        last = self._position.last
        if last is not None:
            self._next_number = last + 1
            self._capture.skip_to(self._next_number)

    def read(self) -> Frame:
        """The next frame. Raises ``EndOfFrames`` at the end, ``CameraLost`` for a file without frames."""
        if self._given_up:
            raise EndOfFrames(f"{self._capture.name} has no further frame.")
        number = self._next_number
        source = f"{self._name}#frame={number}"
        in_time = self._position.begin(number, after=self._before)
        self._before = number
        if not in_time:
            self._given_up = True
            hangs = ImageError(f"{source} could not be read in time; the rest of the video is skipped.")
            return frame_now(self.id, hangs, source=source)
        picture = self._capture.read_picture()
        if picture is None:
            return frame_now(self.id, self._end(number), source=source)
        self._next_number += 1
        image, reported = picture
        return frame_now(self.id, image, settings=reported, source=source)

    def close(self) -> None:
        """Close the file."""
        self._capture.close()

    def _end(self, frames_count: int) -> ImageError:
        """An error about a file that ended early. Raises ``EndOfFrames`` if it did not."""
        if frames_count == 0:
            raise CameraLost(f"{self._capture.name} contains no frame that can be decoded.")
        declared_count = round(self._capture.reported(cv2.CAP_PROP_FRAME_COUNT) or 0)
        tolerance = 0.0
        if self._settings.path.suffix.lower() not in _EXACT_SUFFIXES:
            tolerance = max(2, _ESTIMATE_TOLERANCE_RATIO * declared_count)
        if declared_count - frames_count <= tolerance:
            raise EndOfFrames(f"{self._capture.name} has no further frame.")
        self._given_up = True
        return ImageError(
            f"{self._capture.name} gave {frames_count} frames of the {declared_count} that it declares; "
            "the rest cannot be read.",
            remedy="The file may be incomplete: copy it again.",
        )
