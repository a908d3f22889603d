"""Cameras that do as they are told, for tests of whatever uses a camera."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.camera import Camera
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels
from edge_agent.cameras.stamp import frame_now
from edge_agent.errors import CameraLost, EndOfFrames


@dataclass(eq=False)
class Hang:
    """A step at which the camera hangs as a driver does: ``close`` does not wake it, ``release`` does."""

    entered: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Hang."""
        self.entered.set()
        self.release.wait()


Step = Frame | BaseException | Hang
"""What a read does: gives the frame, raises the error, or hangs and then goes on to the next step."""


class ScriptedCamera:
    """Does one step per ``read``. After the last a live one waits until it is closed; a file ends.

    ``on_open`` is the step of ``open``; ``frame_interval_s`` is how long each frame takes. ``reads_count`` and
    ``closed`` tell what became of it.
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
    """Hands out cameras one after the other, as a factory that makes a new one each time would.

    After the last it raises ``CameraLost``. ``made`` are those handed out.
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


CARD_PATCHES_RGB = ((220, 30, 30), (30, 200, 30), (30, 30, 220), (128, 128, 128))
"""Red, green, blue and grey, from left to right."""


def colour_card(order: ColourOrder, *, height_px: int = 64, patch_px: int = 64) -> NDArray[np.uint8]:
    """The patches side by side, channels in ``order``: uint8 (height_px, 4 * patch_px, 3)."""
    rgb = np.zeros((height_px, patch_px * len(CARD_PATCHES_RGB), 3), np.uint8)
    for number, colour in enumerate(CARD_PATCHES_RGB):
        rgb[:, number * patch_px : (number + 1) * patch_px] = colour
    return rgb if order is ColourOrder.RGB else np.ascontiguousarray(rgb[..., ::-1])


def card_seen(frame: Frame) -> list[tuple[int, ...]]:
    """The mean RGB of each patch's middle, by what the frame declares of itself.

    Raises ``TypeError`` for a frame without a picture.
    """
    match frame.image:
        case Pixels(array=array, order=order):
            rgb = array if order is ColourOrder.RGB else array[..., ::-1]
        case Encoded(data=data):
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
            if decoded is None:
                raise TypeError("not a picture that OpenCV reads")
            rgb = np.asarray(decoded, np.uint8)
        case _:
            raise TypeError(f"no picture: {frame.image!r}")
    height, width = rgb.shape[:2]
    patch = width // len(CARD_PATCHES_RGB)
    middles = (
        rgb[height // 4 : 3 * height // 4, number * patch + patch // 4 : (number + 1) * patch - patch // 4]
        for number in range(len(CARD_PATCHES_RGB))
    )
    return [tuple(round(float(level)) for level in middle.mean((0, 1))) for middle in middles]
