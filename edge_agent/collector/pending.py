"""What was received and not stored yet. The broker keeps all of it until it is acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.collector.rows import Entry

MAX_UNACKNOWLEDGEABLE_COUNT = 2000
"""Metrics are sent with QoS 0, so the broker does not hold them back; of more than these the oldest are dropped."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A message, and how to acknowledge it once it is stored."""

    entry: Entry
    acknowledge: Callable[[], None]


class PendingMessages:
    """Bounded: messages with QoS 1 by the receive maximum of the connection, those with QoS 0 here."""

    def __init__(self) -> None:
        self._essential: deque[Pending] = deque()
        self._figures: deque[Entry] = deque()
        self._states: dict[str, Entry] = {}
        """By topic: only the newest says anything."""

    def add(self, pending: Pending) -> None:
        """A message that the broker holds until it is acknowledged."""
        self._essential.append(pending)

    def add_figures(self, entry: Entry) -> int:
        """A message that nobody sends again. The number of those that were dropped for it."""
        self._figures.append(entry)
        if len(self._figures) <= MAX_UNACKNOWLEDGEABLE_COUNT:
            return 0
        self._figures.popleft()
        return 1

    def add_state(self, entry: Entry) -> None:
        """What a device says of itself now."""
        self._states[entry.origin.topic] = entry

    def take(self, count: int) -> tuple[list[Pending], list[Entry], list[Entry]]:
        """Up to ``count`` messages, as many figures, and all states; they are the caller's now."""
        messages = [self._essential.popleft() for _ in range(min(count, len(self._essential)))]
        figures = [self._figures.popleft() for _ in range(min(count, len(self._figures)))]
        states, self._states = list(self._states.values()), {}
        return messages, figures, states

    def forget_unacknowledged(self) -> int:
        """After the connection was lost: the broker sends these again. Their number."""
        count = len(self._essential)
        self._essential.clear()
        return count

    def __len__(self) -> int:
        return len(self._essential) + len(self._figures) + len(self._states)
