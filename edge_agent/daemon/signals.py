"""The signals that a running agent obeys."""

from __future__ import annotations

import queue
import signal
from types import FrameType


class SignalQueue:
    """Signals, one after the other, for the main thread."""

    def __init__(self) -> None:
        # Not blocked and waited for: libraries have threads of their own since they were imported, and a signal
        # that meets one of those would have its default effect.
        self._received: queue.SimpleQueue[signal.Signals] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._received.put(signal.Signals(number))

    def wait(self) -> signal.Signals | None:
        """The next signal, or None after half a second."""
        try:
            return self._received.get(timeout=0.5)
        except queue.Empty:
            return None
