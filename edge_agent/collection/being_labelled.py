"""Frames that somebody is labelling, which must not be removed meanwhile to make room."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from uuid import UUID

MAX_COUNT = 32
HELD_S = 900.0


class BeingLabelled:
    """The last offered frames. The oldest frames are offered first, and would be removed first. Thread-safe."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._until_s: OrderedDict[UUID, float] = OrderedDict()

    def add(self, ids: Iterable[UUID]) -> None:
        """Register frames that were offered now."""
        with self._lock:
            for frame_id in ids:
                self._until_s[frame_id] = self._clock_s() + HELD_S
                self._until_s.move_to_end(frame_id)
            while len(self._until_s) > MAX_COUNT:
                self._until_s.popitem(last=False)

    def __contains__(self, frame_id: UUID) -> bool:
        with self._lock:
            return self._until_s.get(frame_id, 0) > self._clock_s()
