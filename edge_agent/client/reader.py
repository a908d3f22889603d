"""The unread items of one iteration."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

MAX_UNREAD_COUNT = 10_000
"""So many items that need no acknowledgement wait to be read; then the oldest are dropped."""


class Reader(Generic[Item]):
    """Filled by the connection, emptied by ``async for``."""

    def __init__(self) -> None:
        self._items: deque[tuple[Item, Callable[[], None] | None]] = deque()
        self._arrived = asyncio.Event()
        self._is_ended = False
        self._current: tuple[Item] | None = None

    def put(self, item: Item, done: Callable[[], None] | None = None) -> int:
        """``done`` is called once the item has been dealt with. The number of items that were dropped for it."""
        self._items.append((item, done))
        self._arrived.set()
        if done is None and len(self._items) > MAX_UNREAD_COUNT:
            self._items.popleft()
            return 1
        return 0

    def end(self) -> None:
        """The iteration ends after what is unread."""
        self._is_ended = True
        self._arrived.set()

    def unfinished(self) -> list[Item]:
        """What was not dealt with when the loop was left: the item that it had last, and those that it had not seen."""
        return [*(self._current or ()), *(item for item, _ in self._items)]

    async def items(self) -> AsyncIterator[Item]:
        """Each item has been dealt with once the next is asked for."""
        while True:
            while self._items:
                item, done = self._items.popleft()
                self._current = (item,)
                yield item
                self._current = None
                if done is not None:
                    done()
            if self._is_ended:
                return
            self._arrived.clear()
            await self._arrived.wait()
