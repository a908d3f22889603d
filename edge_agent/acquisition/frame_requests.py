"""Requests to see the passing frames without taking them from the readings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge_agent.acquisition.capture_requests import FRAMES_UNDER_WAY
from edge_agent.cameras import Frame
from edge_agent.errors import EdgeAgentError


class FrameRequest:
    """A caller that looks at frames at its own pace: at most one waits for it, so that memory stays bounded."""

    def __init__(self, asked_ns: int) -> None:
        self._asked_ns = asked_ns
        self._offered_count = 0
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._last: Frame | None = None
        self._error: EdgeAgentError | None = None

    def next(self, timeout_s: float) -> Frame | None:
        """The next frame; None if none comes in time. Raises the error that the request was cancelled with."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._error is not None, timeout_s)
            if self._frame is None and self._error is not None:
                raise self._error
            frame, self._frame = self._frame, None
            return frame

    def offer(self, frame: Frame, *, live: bool) -> None:
        """Hand over a frame unless it is too old or was handed over before. Never blocks.

        A live frame takes the place of one that waits; a file does not, since every one of them counts.
        """
        with self._changed:
            if frame is self._last:
                return
            self._last = frame
            if live:
                if frame.monotonic_ns >= self._asked_ns:
                    self._offered_count += 1
                if self._offered_count <= FRAMES_UNDER_WAY:
                    return
            if live or self._frame is None:
                self._frame = frame
                self._changed.notify_all()

    def cancel(self, error: EdgeAgentError) -> None:
        """No more frames will come."""
        with self._changed:
            # A frame that still waits does not show the present.
            self._frame, self._error = None, error
            self._changed.notify_all()


class FrameRequests:
    """The requests of one pipeline. Any thread may use it."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._waiting: tuple[FrameRequest, ...] = ()
        self._ended: EdgeAgentError | None = None

    def add(self) -> FrameRequest:
        """Look at frames that are exposed from now on, and at the files that are due."""
        request = FrameRequest(self._clock_ns())
        with self._lock:
            if self._ended is not None:
                request.cancel(self._ended)
            self._waiting = (*self._waiting, request)
        return request

    def withdraw(self, request: FrameRequest) -> None:
        """Offer no more frames to ``request``."""
        with self._lock:
            self._waiting = tuple(each for each in self._waiting if each is not request)

    def offer(self, frame: Frame, *, live: bool) -> None:
        """Offer a frame to every request."""
        for request in self._waiting:
            request.offer(frame, live=live)

    def cancel(self, error: EdgeAgentError) -> None:
        """No more frames will come: every request gets ``error``, and so does every later one."""
        with self._lock:
            self._ended = error
            waiting, self._waiting = self._waiting, ()
        for request in waiting:
            request.cancel(error)
