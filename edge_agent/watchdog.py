"""Detects threads that make no progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StallDetector:
    """Watches one thread. It rests or works, and no piece of work may take longer than ``limit_s``.

    A thread may wait for work as long as it likes. A thread that ended by a defect is not detected here: it reports its
    failure, and the whole process ends. Any thread may read ``stuck``.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: float | None = None

    @contextmanager
    def work(self) -> Iterator[None]:
        """Do one piece of work inside the block. Pieces do not nest."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    @property
    def working(self) -> bool:
        """Whether a piece of work is under way."""
        return self._since is not None

    @property
    def stuck(self) -> bool:
        """Whether the current piece of work takes too long."""
        since = self._since
        return since is not None and time.monotonic() - since > self._limit_s
