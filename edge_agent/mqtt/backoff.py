"""When to connect again."""

from __future__ import annotations

import random

LASTED_S = 30.0
"""A connection that held for so long was a good one, whatever it carried."""

DELIVERED_S = 5.0
"""One that the broker took a spooled message on needs less time to count as good."""

TAKEN_MAX_S = 600.0
"""Longest pause after another client took the session: else two devices of one name push each other out all day."""


def pause_s(failures_count: int, max_s: float) -> float:
    """How long to wait after so many failures in a row: twice as long each time, and at a random moment."""
    longest_s = min(max_s, 2.0 ** min(failures_count - 1, 20))
    return random.uniform(0.5, 1.0) * longest_s  # noqa: S311 - to spread attempts, not to keep a secret


class Backoff:
    """Counts what failed in a row. A connection that the broker accepts and soon drops is a failure too."""

    def __init__(self, max_s: float) -> None:
        self._max_s = max_s
        self.failures_count = 0
        self.drops_count = 0
        """Connections in a row that were accepted and did not last."""
        self._taken_count = 0

    def next_s(self) -> float:
        """Count a failure; the pause after it."""
        self.failures_count += 1
        return pause_s(self.failures_count, self._max_s)

    def next_taken_s(self) -> float:
        """Count a session that another client took; the pause after it is much longer, and grows further."""
        self._taken_count += 1
        longest_s = min(TAKEN_MAX_S, self._max_s * 2.0 ** min(self._taken_count, 20))
        return random.uniform(0.5, 1.0) * longest_s  # noqa: S311 - as above

    def ended(self, lasted_s: float, *, delivered: bool) -> None:
        """An accepted connection came to its end after ``lasted_s``; ``delivered``: with spooled messages taken."""
        if lasted_s >= TAKEN_MAX_S:
            self._taken_count = 0
        if lasted_s >= LASTED_S or (delivered and lasted_s >= DELIVERED_S):
            self.failures_count = self.drops_count = 0
        else:
            self.drops_count += 1
