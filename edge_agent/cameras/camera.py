"""The Camera seam."""

from __future__ import annotations

from typing import Protocol

from edge_agent.cameras.frame import Frame


class Camera(Protocol):
    """A source of frames. Used by one thread at a time, except ``close``, which any thread may call.

    After any error but ``EndOfFrames`` the user closes the camera and opens a new one: an
    implementation never has to recover by itself.
    """

    @property
    def id(self) -> str:
        """One topic segment."""
        ...

    @property
    def live(self) -> bool:
        """True where time goes on without us (a sensor, a stream): only the newest frame counts.

        False for files: every frame counts, and the source waits for its reader.
        """
        ...

    def open(self) -> None:
        """Open the device. Raises ``CameraAbsent`` or another ``CameraError``."""
        ...

    def read(self) -> Frame:
        """The next frame, waiting for it. Raises ``CameraError``; ``EndOfFrames`` where there is none left."""
        ...

    def close(self) -> None:
        """Close the device. May be called at any time and more than once; never raises."""
        ...
