"""Messages that were received and not stored yet. The broker keeps them until they are acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.collector.rows import Entry

MAX_UNACKNOWLEDGEABLE_COUNT = 2000
"""Most waiting metrics. The broker does not hold them back, as they have QoS 0; the oldest are dropped for new ones."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A message, and how to acknowledge it once it is stored."""

    entry: Entry
    acknowledge: Callable[[], None]


class PendingMessages:
    """The waiting messages. Those with QoS 1 are bounded by the connection's receive maximum, those with QoS 0 here."""

    def __init__(self) -> None:
        self._essential: deque[Pending] = deque()
        self._figures: deque[Entry] = deque()
        self._states: dict[str, Entry] = {}
        """The newest state of each topic: only that matters."""

    def add(self, pending: Pending) -> None:
        """Add a message that the broker holds until it is acknowledged."""
        self._essential.append(pending)

    def add_figures(self, entry: Entry) -> int:
        """Add a message that nobody sends again. Returns how many were dropped for it."""
        self._figures.append(entry)
        if len(self._figures) <= MAX_UNACKNOWLEDGEABLE_COUNT:
            return 0
        self._figures.popleft()
        return 1

    def add_state(self, entry: Entry) -> None:
        """Add a device's current state."""
        self._states[entry.origin.topic] = entry

    def take(self, count: int) -> tuple[list[Pending], list[Entry], list[Entry]]:
        """Remove and return up to ``count`` messages, as many figures, and all states."""
        messages = [self._essential.popleft() for _ in range(min(count, len(self._essential)))]
        figures = [self._figures.popleft() for _ in range(min(count, len(self._figures)))]
        states, self._states = list(self._states.values()), {}
        return messages, figures, states

    def forget_unacknowledged(self) -> int:
        """Forget unacknowledged messages, which the broker sends again after a lost connection. Returns how many."""
        count = len(self._essential)
        self._essential.clear()
        return count

    def __len__(self) -> int:
        return len(self._essential) + len(self._figures) + len(self._states)
