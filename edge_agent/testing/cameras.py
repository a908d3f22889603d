"""Scripted cameras, for tests of code that uses a camera."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from edge_agent.cameras.camera import Camera
from edge_agent.cameras.frame import ColourOrder, Frame, Pixels, frame_now
from edge_agent.errors import CameraLost, EndOfFrames


@dataclass(eq=False)
class Hang:
    """A step at which the camera hangs like a driver: ``close`` does not end it, ``release`` does."""

    entered: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Hang."""
        self.entered.set()
        self.release.wait()


Step = Frame | BaseException | Hang
"""What a read does: return the frame, raise the error, or hang and then do the next step."""


class ScriptedCamera:
    """Does one step per ``read``. After the last a live one waits until it is closed; a file ends.

    ``on_open`` is the step of ``open``; ``frame_interval_s`` is how long each frame takes. ``reads_count`` and
    ``closed`` show what was called.
    """

    def __init__(
        self,
        steps: Iterable[Step] = (),
        *,
        camera_id: str = "camera0",
        live: bool = True,
        on_open: BaseException | Hang | None = None,
        frame_interval_s: float = 0.0,
    ) -> None:
        self._steps = iter(steps)
        self._id = camera_id
        self._live = live
        self._on_open = on_open
        self._frame_interval_s = frame_interval_s
        self.reads_count = 0
        self.closed = threading.Event()

    @property
    def id(self) -> str:
        """One topic segment."""
        return self._id

    @property
    def live(self) -> bool:
        """As given."""
        return self._live

    def open(self) -> None:
        """Do ``on_open``."""
        if isinstance(self._on_open, Hang):
            self._on_open.run()
        elif self._on_open is not None:
            raise self._on_open

    def read(self) -> Frame:
        """Do the next step."""
        self.reads_count += 1
        for step in self._steps:
            if isinstance(step, Hang):
                step.run()
            elif isinstance(step, BaseException):
                raise step
            else:
                self.closed.wait(self._frame_interval_s)
                return step
        if not self._live:
            raise EndOfFrames("The script is at its end.")
        self.closed.wait()
        raise CameraLost("The scripted camera was closed.")

    def close(self) -> None:
        """Set ``closed``."""
        self.closed.set()


class CameraShelf:
    """Returns cameras one after the other, like a factory.

    After the last it raises ``CameraLost``. ``made`` has those returned.
    """

    def __init__(self, cameras: Iterable[Camera]) -> None:
        self._cameras: Iterator[Camera] = iter(cameras)
        self.made: list[Camera] = []

    def __call__(self) -> Camera:
        """The next camera."""
        camera = next(self._cameras, None)
        if camera is None:
            raise CameraLost("There is no further camera.")
        self.made.append(camera)
        return camera


def plain_frame(level: int, *, camera: str = "camera0") -> Frame:
    """A frame of one grey level, 4 by 4, that says so in its source."""
    pixels = Pixels(np.full((4, 4, 3), level, np.uint8), ColourOrder.RGB)
    return frame_now(camera, pixels, source=f"level={level}")
