"""The protocol that all cameras follow."""

from __future__ import annotations

from typing import Protocol

from edge_agent.cameras.frame import Frame


class Camera(Protocol):
    """A source of frames. Used by one thread at a time, except ``close``, which any thread may call.

    After any error except ``EndOfFrames`` the user closes the camera and opens a new one, so an implementation never
    has to recover by itself.
    """

    @property
    def id(self) -> str:
        """The camera's id, one topic segment."""
        ...

    @property
    def live(self) -> bool:
        """True for sensors and streams, which do not wait: only the newest frame counts.

        False for files: every frame counts, and the source waits for its reader.
        """
        ...

    def open(self) -> None:
        """Open the device. Raises ``CameraAbsent`` or another ``CameraError``."""
        ...

    def read(self) -> Frame:
        """The next frame, waiting for it. Raises ``CameraError``; ``EndOfFrames`` if there are no more."""
        ...

    def close(self) -> None:
        """Close the device. May be called at any time and more than once; never raises."""
        ...
