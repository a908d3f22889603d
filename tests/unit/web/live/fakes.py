"""A device whose frames are shown by the test."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from edge_agent.acquisition.capture_requests import FRAMES_UNDER_WAY
from edge_agent.acquisition.frame_requests import FrameRequest, FrameRequests
from edge_agent.cameras import ColourOrder, Encoded, Frame, Pixels
from edge_agent.cameras.frame import frame_now
from edge_agent.errors import AgentPaused
from edge_agent.web.device import DeviceState
from tests.page_device import FakeDevice

PATIENCE_S = 30.0

Array = NDArray[np.uint8]


class LiveDevice(FakeDevice):
    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.opening = False
        self.looked_on: queue.Queue[FrameRequest] = queue.Queue()
        self.looked_away: queue.Queue[FrameRequest] = queue.Queue()
        self.refusals: queue.Queue[None] = queue.Queue()
        self.states: queue.Queue[None] = queue.Queue()

    def show(self, frame: Frame) -> None:
        """Show a frame as a live camera does."""
        self.frames.offer(frame, live=True)

    def show_from(self, make: Callable[[], Frame]) -> FrameRequest:
        """Wait until somebody looks, and show the frames that are skipped because they may be older."""
        request = self.looked_on.get(timeout=PATIENCE_S)
        for _ in range(FRAMES_UNDER_WAY):
            self.show(make())
        return request

    def pause(self) -> None:
        with self._lock:
            self.paused = True
            old, self.frames = self.frames, FrameRequests()
        old.cancel(AgentPaused("Reading was interrupted."))

    def resume(self) -> None:
        with self._lock:
            self.paused = False

    def reload(self) -> None:
        with self._lock:
            old, self.frames = self.frames, FrameRequests()
        old.cancel(AgentPaused("Reading was interrupted."))

    def look_on(self) -> FrameRequest:
        with self._lock:
            if self.paused:
                self.refusals.put(None)
                raise AgentPaused("The agent is paused.")
            request = super().look_on()
        self.looked_on.put(request)
        return request

    def look_away(self, request: FrameRequest) -> None:
        super().look_away(request)
        self.looked_away.put(request)

    def state(self) -> DeviceState:
        self.states.put(None)
        return super().state().model_copy(update={"streaming": not self.opening})


def grey_frame(level: int, *, size: tuple[int, int] = (48, 64)) -> Frame:
    """A frame whose pixels are all alike."""
    return frame_now("camera0", Pixels(np.full((*size, 3), level, np.uint8), ColourOrder.RGB))


def jpeg_frame(array: Array) -> Frame:
    """A frame made of an RGB array. It is not compressed in the hub's way, which tests count."""
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(array[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 95])
    return frame_now("camera0", Encoded(data.tobytes()))


def parts(message: bytes) -> tuple[dict[str, Any], Array]:
    """Header and picture of a message."""
    length = int.from_bytes(message[:4], "big")
    return json.loads(message[4 : 4 + length]), simplejpeg.decode_jpeg(message[4 + length :])


def jpeg_of(message: bytes) -> bytes:
    return message[4 + int.from_bytes(message[:4], "big") :]
