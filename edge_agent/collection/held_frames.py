"""The last few frames, so that they can be kept on request."""

from __future__ import annotations

import threading
from collections import OrderedDict
from uuid import UUID

from edge_agent.cameras.frame import Encoded, Frame, Pixels
from edge_agent.contracts import Result

MAX_COUNT = 16
MAX_BYTES = 64 * 2**20


class HeldFrames:
    """The held frames, bounded in number and bytes; the newest is always held. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: OrderedDict[UUID, tuple[Result, Frame]] = OrderedDict()

    def add(self, result: Result, frame: Frame) -> None:
        """Hold a frame, and drop the oldest."""
        with self._lock:
            self._frames[result.id] = result, frame
            size_bytes = sum(_size_bytes(each) for _, each in self._frames.values())
            while len(self._frames) > 1 and (len(self._frames) > MAX_COUNT or size_bytes > MAX_BYTES):
                _, (_, gone) = self._frames.popitem(last=False)
                size_bytes -= _size_bytes(gone)

    def find(self, reading_id: UUID) -> tuple[Result, Frame] | None:
        """The frame of a reading; None if it is not held any more."""
        with self._lock:
            return self._frames.get(reading_id)


def _size_bytes(frame: Frame) -> int:
    match frame.image:
        case Pixels():
            return frame.image.array.nbytes
        case Encoded():
            return len(frame.image.data)
        case _:
            return 0
