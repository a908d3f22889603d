"""Decides when to reconnect."""

from __future__ import annotations

import random

LASTED_S = 30.0
"""A connection that lasted this long counts as good, even if it carried nothing."""

DELIVERED_S = 5.0
"""After an acknowledged spooled message a connection counts as good this early."""

TAKEN_MAX_S = 600.0
"""Longest pause after another client took the session; otherwise two devices with one name would disconnect each other
all day."""


def pause_s(failures_count: int, max_s: float) -> float:
    """The pause after a number of failures in a row: twice as long each time, with jitter."""
    longest_s = min(max_s, 2.0 ** min(failures_count - 1, 20))
    return random.uniform(0.5, 1.0) * longest_s  # noqa: S311 - to spread attempts, not to keep a secret


class Backoff:
    """Counts failures in a row. A connection that the broker accepts and soon drops is a failure too."""

    def __init__(self, max_s: float) -> None:
        self._max_s = max_s
        self.failures_count = 0
        self.drops_count = 0
        """Connections in a row that were accepted and did not last."""
        self._taken_count = 0

    def next_s(self) -> float:
        """Count a failure and return the pause after it."""
        self.failures_count += 1
        return pause_s(self.failures_count, self._max_s)

    def next_taken_s(self) -> float:
        """Count a session taken by another client. The pause after it is much longer, and grows further."""
        self._taken_count += 1
        longest_s = min(TAKEN_MAX_S, self._max_s * 2.0 ** min(self._taken_count, 20))
        return random.uniform(0.5, 1.0) * longest_s  # noqa: S311 - as above

    def ended(self, lasted_s: float, *, delivered: bool) -> None:
        """Register the end of an accepted connection after ``lasted_s``.

        ``delivered``: spooled messages were acknowledged.
        """
        if lasted_s >= TAKEN_MAX_S:
            self._taken_count = 0
        if lasted_s >= LASTED_S or (delivered and lasted_s >= DELIVERED_S):
            self.failures_count = self.drops_count = 0
        else:
            self.drops_count += 1
