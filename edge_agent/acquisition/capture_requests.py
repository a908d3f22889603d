"""Requests for a reading of the specimen that is under the microscope now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from edge_agent.cameras import Frame
from edge_agent.contracts import Result
from edge_agent.errors import EdgeAgentError

FRAMES_UNDER_WAY = 2
"""Number of frames handed over after a request that may have been exposed before it: one was being read out, and the
driver may hold another."""


@dataclass(slots=True, eq=False)
class CaptureRequest:
    """A caller that waits for a reading."""

    asked_ns: int
    """``time.monotonic_ns()`` of the request."""
    result: Future[Result] = field(default_factory=Future)
    frames_count: int = 0
    """Frames handed over since the request."""
    due: bool = False
    """Whether the current frame was exposed after the request."""


class CaptureRequests:
    """The waiting requests, and whether a frame is new enough for them. Any thread may use it."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._waiting: list[CaptureRequest] = []

    @property
    def waiting(self) -> bool:
        """Whether a request waits."""
        return bool(self._waiting)

    def add(self) -> CaptureRequest:
        """Request a reading of a frame that is exposed from now on, or of the next file."""
        request = CaptureRequest(self._clock_ns())
        with self._lock:
            self._waiting.append(request)
        return request

    def withdraw(self, request: CaptureRequest) -> None:
        """Cancel one request."""
        with self._lock:
            if request in self._waiting:
                self._waiting.remove(request)

    def due(self, frame: Frame, *, live: bool) -> bool:
        """Register a frame. True if it serves a request; ``take`` then returns which."""
        with self._lock:
            for request in self._waiting:
                if frame.monotonic_ns >= request.asked_ns:
                    request.frames_count += 1
                request.due = not live or request.frames_count > FRAMES_UNDER_WAY
            return any(request.due for request in self._waiting)

    def take(self) -> Sequence[CaptureRequest]:
        """The requests that the current frame serves. They no longer wait for another one."""
        with self._lock:
            served = [request for request in self._waiting if request.due]
            self._waiting = [request for request in self._waiting if not request.due]
        return served

    def cancel(self, error: EdgeAgentError) -> None:
        """No more frames will come: every waiting request gets ``error``."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for request in waiting:
            request.result.set_exception(error)
