"""Tells the newest of many values, without telling all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Newest(Generic[Value]):
    """Publishes the newest value at most every few seconds, the last of a series too. Any thread may use it.

    A value that comes after a pause is published at once; one that comes too soon waits for ``do_round``.
    """

    def __init__(
        self,
        publish: Callable[[Value], None],
        interval_s: float,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """``publish`` is called in the threads that put values, one at a time, and must not wait."""
        self._publish = publish
        self._interval_s = interval_s
        self._monotonic_s = monotonic_s
        # Also held while a value is published: otherwise the last word could be an older one.
        self._lock = threading.Lock()
        self._values: tuple[Value, ...] = ()
        """The newest one, if there is any: None may be a value."""
        self._waits = False
        self._due_at_s = float("-inf")

    def put(self, value: Value, *, at_once: bool = False) -> None:
        """There is a newer value. ``at_once``: publish it however soon it comes."""
        with self._lock:
            self._values, self._waits = (value,), True
            self._publish_if_due(at_once=at_once)

    def do_round(self) -> None:
        """Publish the value that waits, if its time has come. To be called every few seconds."""
        with self._lock:
            self._publish_if_due(at_once=False)

    def flush(self) -> None:
        """Publish the value that waits, if there is one."""
        with self._lock:
            self._publish_if_due(at_once=True)

    def publish_again(self) -> None:
        """Publish the newest value whether it was published before or not."""
        with self._lock:
            self._waits = bool(self._values)
            self._publish_if_due(at_once=True)

    def forget(self) -> None:
        """There is no value any more."""
        with self._lock:
            self._values, self._waits = (), False

    def _publish_if_due(self, *, at_once: bool) -> None:
        now_s = self._monotonic_s()
        if not self._waits or not (at_once or now_s >= self._due_at_s):
            return
        self._waits, self._due_at_s = False, now_s + self._interval_s
        for value in self._values:
            self._publish(value)
