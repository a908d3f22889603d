"""The unread items of one iteration."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

MAX_UNREAD_COUNT = 10_000
"""Items without acknowledgement that may wait to be read; beyond this number the oldest are dropped."""


class Reader(Generic[Item]):
    """Filled by the connection, emptied by ``async for``."""

    def __init__(self) -> None:
        self._items: deque[tuple[Item, Callable[[], None] | None]] = deque()
        self._arrived = asyncio.Event()
        self._is_ended = False
        self._current: tuple[Item] | None = None

    def put(self, item: Item, done: Callable[[], None] | None = None) -> int:
        """Add an item. Returns how many were dropped for it. ``done`` is called once the item has been dealt with."""
        self._items.append((item, done))
        self._arrived.set()
        if done is None and len(self._items) > MAX_UNREAD_COUNT:
            self._items.popleft()
            return 1
        return 0

    def end(self) -> None:
        """End the iteration after the unread items."""
        self._is_ended = True
        self._arrived.set()

    def unfinished(self) -> list[Item]:
        """The items not dealt with when the loop was left: the last one that it got, and those that it did not get."""
        return [*(self._current or ()), *(item for item, _ in self._items)]

    async def items(self) -> AsyncIterator[Item]:
        """The items. Each counts as dealt with once the next is asked for."""
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
