"""Messages and subscriptions that were sent over a connection and not acknowledged yet."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass

from edge_agent.mqtt.outgoing import Outgoing


@dataclass(frozen=True, slots=True)
class Sent:
    """A message with QoS 1, or a subscription."""

    key: Hashable
    item: Outgoing | None
    """None: a subscription."""
    order: int
    at_s: float


class InFlight:
    """Messages and subscriptions by packet number, oldest first."""

    def __init__(self) -> None:
        self._sent: dict[int, Sent] = {}
        self._order = self._newest_acknowledged = 0

    def __len__(self) -> int:
        return len(self._sent)

    def __contains__(self, number: object) -> bool:
        return number in self._sent

    @property
    def keys(self) -> list[Hashable]:
        """Keys of everything in flight."""
        return [sent.key for sent in self._sent.values()]

    @property
    def messages_count(self) -> int:
        """Number of messages that count towards the broker's Receive Maximum."""
        return sum(sent.item is not None for sent in self._sent.values())

    @property
    def oldest(self) -> Sent | None:
        """The message or subscription that has waited longest."""
        return next(iter(self._sent.values()), None)

    def clear(self) -> None:
        """Forget everything: the connection ended."""
        self._sent.clear()
        self._newest_acknowledged = self._order

    def add(self, number: int, key: Hashable, item: Outgoing | None) -> None:
        """Add a message or subscription that was just sent."""
        self._order += 1
        self._sent[number] = Sent(key, item, self._order, time.monotonic())

    def take(self, number: int) -> Sent | None:
        """Remove and return an acknowledged message or subscription; None for a number that is not in flight."""
        sent = self._sent.pop(number, None)
        if sent is not None and sent.item is not None:
            self._newest_acknowledged = max(self._newest_acknowledged, sent.order)
        return sent

    def find(self, key: Hashable) -> Sent:
        """The message or subscription with this key. Raises ``StopIteration`` if there is none."""
        return next(sent for sent in self._sent.values() if sent.key == key)

    def is_overtaken(self, sent: Sent) -> bool:
        """Whether a message that was sent later has been acknowledged over this connection."""
        return sent.order < self._newest_acknowledged
