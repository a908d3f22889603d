"""The queue in which a message waits until the broker has acknowledged it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from edge_agent.errors import SpoolFull


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way to the broker."""

    id: UUID
    topic: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """Counts since the spool was made. ``accepted == acknowledged + waiting + in_flight``, always."""

    accepted_count: int
    acknowledged_count: int
    refused_count: int
    waiting_count: int
    in_flight_count: int


class Spool(Protocol):
    """Takes messages from one thread and gives them to another. Nothing accepted is ever dropped."""

    def append(self, message: Message) -> None:
        """Accept a message. Raises ``SpoolFull``, and counts it, if no more can be kept."""
        ...

    def take(self) -> Message | None:
        """The oldest waiting message, from now on in flight; None if none waits."""
        ...

    def acknowledge(self, message_id: UUID) -> None:
        """The broker has it: forget it. An unknown id is an acknowledgement that came twice, and ignored."""
        ...

    def give_back(self) -> None:
        """All that is in flight waits again, in its old order: the connection that carried it is gone."""
        ...

    def stats(self) -> SpoolStats:
        """Counts, consistent among themselves."""
        ...


class MemorySpool:
    """A spool that lives as long as the process: it outlasts a lost broker, not a power cut."""

    def __init__(self, max_messages: int) -> None:
        self._max_messages = max_messages
        self._waiting: OrderedDict[UUID, Message] = OrderedDict()
        self._in_flight: OrderedDict[UUID, Message] = OrderedDict()
        self._lock = threading.Lock()
        self._accepted = 0
        self._acknowledged = 0
        self._refused = 0

    def append(self, message: Message) -> None:
        """See ``Spool``."""
        with self._lock:
            if len(self._waiting) + len(self._in_flight) >= self._max_messages:
                self._refused += 1
                raise SpoolFull(
                    f"{self._max_messages} results wait for the broker; {self._refused} have been refused so far."
                )
            self._waiting[message.id] = message
            self._accepted += 1

    def take(self) -> Message | None:
        """See ``Spool``."""
        with self._lock:
            if not self._waiting:
                return None
            message_id, message = self._waiting.popitem(last=False)
            self._in_flight[message_id] = message
            return message

    def acknowledge(self, message_id: UUID) -> None:
        """See ``Spool``."""
        with self._lock:
            # After give_back an acknowledgement of the old connection may still come.
            known = self._in_flight.pop(message_id, None) or self._waiting.pop(message_id, None)
            if known is not None:
                self._acknowledged += 1

    def give_back(self) -> None:
        """See ``Spool``."""
        with self._lock:
            self._in_flight.update(self._waiting)
            self._waiting, self._in_flight = self._in_flight, OrderedDict()

    def stats(self) -> SpoolStats:
        """See ``Spool``."""
        with self._lock:
            return SpoolStats(
                accepted_count=self._accepted,
                acknowledged_count=self._acknowledged,
                refused_count=self._refused,
                waiting_count=len(self._waiting),
                in_flight_count=len(self._in_flight),
            )
