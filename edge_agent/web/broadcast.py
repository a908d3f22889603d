"""Passes the device's events to everyone who has the page open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

QUEUE_MAX = 32
"""Events that may wait for a browser. A browser that falls further behind is disconnected, and starts afresh."""

LISTENERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Happening:
    """One event: its name, and its data as JSON."""

    name: str
    data: str


class TooManyListeners(Exception):
    """No more browsers can listen at the same time."""


class Broadcast:
    """Any thread may tell; listeners are coroutines of one event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: tuple[asyncio.Queue[Happening | None], ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def heard(self) -> bool:
        """Whether anyone listens."""
        return bool(self._queues)

    def tell(self, happening: Happening) -> None:
        """Pass ``happening`` to every listener, without waiting."""
        with self._lock:
            if self._loop is not None and self._queues:
                self._loop.call_soon_threadsafe(self._put, happening)

    def end(self) -> None:
        """End every listener: the server stops."""
        with self._lock:
            if self._loop is not None and self._queues:
                self._loop.call_soon_threadsafe(self._end)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[asyncio.Queue[Happening | None]]:
        """A queue of the events from now on. None ends it: the listener fell too far behind, or the server stops.

        Raises ``TooManyListeners``.
        """
        if len(self._queues) >= LISTENERS_MAX:
            raise TooManyListeners
        queue: asyncio.Queue[Happening | None] = asyncio.Queue()
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._queues = (*self._queues, queue)
        try:
            yield queue
        finally:
            with self._lock:
                self._queues = tuple(each for each in self._queues if each is not queue)

    def _put(self, happening: Happening) -> None:
        for queue in self._queues:
            if queue.qsize() < QUEUE_MAX:
                queue.put_nowait(happening)
            elif queue.qsize() == QUEUE_MAX:
                queue.put_nowait(None)

    def _end(self) -> None:
        for queue in self._queues:
            queue.put_nowait(None)
