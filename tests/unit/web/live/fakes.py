"""A device whose frames a test shows by hand."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from uuid_utils.compat import uuid7

from edge_agent.acquisition.capture_requests import FRAMES_UNDER_WAY
from edge_agent.acquisition.frame_requests import FrameRequest, FrameRequests
from edge_agent.cameras import ColourOrder, Encoded, Frame, Pixels
from edge_agent.cameras.frame import frame_now
from edge_agent.errors import AgentPaused
from edge_agent.mqtt import Request
from edge_agent.web.device import DeviceState, Problem

PATIENCE_S = 30.0

Array = NDArray[np.uint8]


class FakeDevice:
    def __init__(self) -> None:
        self._requests = FrameRequests()
        self._lock = threading.Lock()
        self._offered = 0
        self.paused = False
        self.streaming = True
        self.problem: Problem | None = None
        self.looked_on: queue.Queue[FrameRequest] = queue.Queue()
        self.looked_away: queue.Queue[FrameRequest] = queue.Queue()
        self.refusals: queue.Queue[None] = queue.Queue()
        self.states: queue.Queue[None] = queue.Queue()

    def show(self, frame: Frame) -> None:
        """As a live camera does."""
        self._requests.offer(frame, live=True)

    def show_from(self, make: Callable[[], Frame]) -> FrameRequest:
        """Wait until somebody looks, and show the frames that are skipped since they may be older."""
        request = self.looked_on.get(timeout=PATIENCE_S)
        for _ in range(FRAMES_UNDER_WAY):
            self.show(make())
        return request

    def pause(self) -> None:
        with self._lock:
            self.paused = True
            old, self._requests = self._requests, FrameRequests()
        old.cancel(AgentPaused("Reading was interrupted."))

    def resume(self) -> None:
        with self._lock:
            self.paused = False

    def reload(self) -> None:
        with self._lock:
            old, self._requests = self._requests, FrameRequests()
        old.cancel(AgentPaused("Reading was interrupted."))

    def look_on(self) -> FrameRequest:
        with self._lock:
            if self.paused:
                self.refusals.put(None)
                raise AgentPaused("The agent is paused.")
            request = self._requests.add()
        self.looked_on.put(request)
        return request

    def look_away(self, request: FrameRequest) -> None:
        self._requests.withdraw(request)
        self.looked_away.put(request)

    def submit(self, request: Request, reply: Callable[[bytes], None], *, by: str) -> None:
        raise NotImplementedError

    def state(self) -> DeviceState:
        self.states.put(None)
        return DeviceState(
            device="scope-1",
            site="clinic",
            software="1",
            session=uuid7(),
            at=datetime.now(UTC),
            paused=self.paused,
            streaming=self.streaming,
            safe_mode=False,
            problems=() if self.problem is None else (self.problem,),
            trigger="continuous",
            stale_after_s=None,
            readings_count=0,
            waiting_count=0,
            model=None,
            model_version=None,
            demonstration=False,
            provisional=False,
            models=(),
            quality_limits={},
            slide=None,
        )


def grey_frame(level: int, *, size: tuple[int, int] = (48, 64)) -> Frame:
    """All pixels alike."""
    return frame_now("camera0", Pixels(np.full((*size, 3), level, np.uint8), ColourOrder.RGB))


def jpeg_frame(array: Array) -> Frame:
    """Of an RGB array. Not compressed in the way that the hub does, which tests count."""
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(array[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 95])
    return frame_now("camera0", Encoded(data.tobytes()))


def parts(message: bytes) -> tuple[dict[str, Any], Array]:
    """Header and picture."""
    length = int.from_bytes(message[:4], "big")
    return json.loads(message[4 : 4 + length]), simplejpeg.decode_jpeg(message[4 + length :])


def jpeg_of(message: bytes) -> bytes:
    return message[4 + int.from_bytes(message[:4], "big") :]
