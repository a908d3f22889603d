"""The signals that a running agent handles."""

from __future__ import annotations

import queue
import signal
from types import FrameType

OBEYED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class SignalQueue:
    """Received signals, one after the other, for the main thread."""

    def __init__(self) -> None:
        # Handlers, not a blocked signal mask: libraries started threads when they were imported, and a signal delivered
        # to one of those would have its default effect.
        self._received: queue.SimpleQueue[signal.Signals] = queue.SimpleQueue()
        for number in OBEYED:
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._received.put(signal.Signals(number))

    def wait(self, timeout_s: float = 0.5) -> signal.Signals | None:
        """The next signal, or None if none came in time."""
        try:
            return self._received.get(timeout=timeout_s)
        except queue.Empty:
            return None
