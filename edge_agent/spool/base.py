"""The queue in which a message waits until the broker has acknowledged it, and the one that lives in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from edge_agent.errors import EdgeAgentError, MessageTooLarge, SpoolFull

MAX_PAYLOAD_BYTES = 64 * 1024
"""No message is larger; the broker's own limit (``deploy/mosquitto``) is above it."""

ESSENTIAL_RESERVE_BYTES = 1024 * 1024
"""Beyond the bound, for messages that tell of drops."""

StateEntries = Mapping[str, bytes | None]
"""Small values by key that are to be as durable as a message; None removes one."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way to the broker."""

    id: UUID
    topic: str
    payload: bytes = field(repr=False)
    essential: bool = False
    """Whether it may use the reserve: it tells of something that must be known when the spool is full."""

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_PAYLOAD_BYTES:
            raise MessageTooLarge(f"A message for {self.topic} has {len(self.payload)} bytes.")


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """Counts. ``accepted == acknowledged + dropped + waiting + in_flight``, always."""

    accepted_count: int
    acknowledged_count: int
    refused_count: int
    """Turned away by ``append``; never accepted."""
    dropped_count: int
    """Accepted, and deleted without an acknowledgement: for room, for age, or by hand."""
    waiting_count: int
    in_flight_count: int
    stored_bytes: int
    oldest_age_s: float | None
    """How long the oldest message has waited, in time during which a spool was open; None if none waits."""
    commits_count: int
    """Durable writes since the spool was opened."""
    checkpoints_count: int


class Spool(Protocol):
    """Takes messages from some threads and gives them to another. What was accepted is delivered or counted as dropped.

    Live messages, accepted since the last ``requeue_all``, and the backlog from before are taken separately,
    each in the order in which they were accepted.
    """

    @property
    def error(self) -> EdgeAgentError | None:
        """Why messages cannot be accepted at the moment; None if all is well."""
        ...

    def append(self, message: Message, state_entries: StateEntries | None = None) -> None:
        """Take a message, with state entries that become durable at the same moment. Accepted once ``flush`` says so.

        Raises ``SpoolFull``, or what ``error`` is, and counts the message as refused, if it cannot be kept.
        """
        ...

    def write_state_entries(self, state_entries: StateEntries) -> None:
        """Keep state entries without a message."""
        ...

    def state_entries(self, prefix: str = "") -> dict[str, bytes]:
        """The kept state entries whose key begins with ``prefix``, in the order in which they were first written."""
        ...

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was appended, noted and acknowledged so far is durable. False if it is not in time."""
        ...

    def take(self, *, live: bool) -> Message | None:
        """The oldest waiting live message or message of the backlog, from now on in flight; None if none waits."""
        ...

    def acknowledge(self, message_id: UUID) -> None:
        """The broker has it: forget it. The id of a message that is not in flight is ignored."""
        ...

    def requeue_all(self) -> None:
        """All that was accepted, in flight or not, waits as backlog: the connection is new, or gone."""
        ...

    def stats(self) -> SpoolStats:
        """Counts, consistent among themselves."""
        ...

    def close(self) -> None:
        """Make all durable that can be, and let go of the files."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    message: Message
    number: int
    accepted_s: float


class MemorySpool:
    """A spool that lives as long as the process: it outlasts a lost broker, not a power cut."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._live: OrderedDict[UUID, _Entry] = OrderedDict()
        self._backlog: OrderedDict[UUID, _Entry] = OrderedDict()
        self._in_flight: OrderedDict[UUID, _Entry] = OrderedDict()
        self._notes: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._stored_bytes = 0
        self._accepted = 0
        self._acknowledged = 0
        self._refused = 0

    @property
    def error(self) -> EdgeAgentError | None:
        """See ``Spool``."""
        with self._lock:
            count = len(self._live) + len(self._backlog) + len(self._in_flight)
            # Full is what has no room for a message like those before.
            return self._full() if self._stored_bytes + self._stored_bytes // max(1, count) > self._max_bytes else None

    def _full(self) -> SpoolFull:
        return SpoolFull(f"{self._stored_bytes} bytes wait for the broker; {self._refused} messages refused.")

    def append(self, message: Message, state_entries: StateEntries | None = None) -> None:
        """See ``Spool``."""
        with self._lock:
            bound = self._max_bytes + (ESSENTIAL_RESERVE_BYTES if message.essential else 0)
            if self._stored_bytes + len(message.payload) > bound:
                self._refused += 1
                raise self._full()
            self._live[message.id] = _Entry(message, self._accepted, time.monotonic())
            self._stored_bytes += len(message.payload)
            self._accepted += 1
            self._keep(state_entries or {})

    def write_state_entries(self, state_entries: StateEntries) -> None:
        """See ``Spool``."""
        with self._lock:
            self._keep(state_entries)

    def state_entries(self, prefix: str = "") -> dict[str, bytes]:
        """See ``Spool``."""
        with self._lock:
            return {key: value for key, value in self._notes.items() if key.startswith(prefix)}

    def flush(self, timeout_s: float) -> bool:  # noqa: ARG002 - there is nothing to wait for
        """See ``Spool``."""
        return True

    def take(self, *, live: bool) -> Message | None:
        """See ``Spool``."""
        with self._lock:
            waiting = self._live if live else self._backlog
            if not waiting:
                return None
            message_id, entry = waiting.popitem(last=False)
            self._in_flight[message_id] = entry
            return entry.message

    def acknowledge(self, message_id: UUID) -> None:
        """See ``Spool``."""
        with self._lock:
            known = self._in_flight.pop(message_id, None)
            if known is not None:
                self._stored_bytes -= len(known.message.payload)
                self._acknowledged += 1

    def requeue_all(self) -> None:
        """See ``Spool``."""
        with self._lock:
            everything = {**self._in_flight, **self._backlog, **self._live}
            self._backlog = OrderedDict(sorted(everything.items(), key=lambda item: item[1].number))
            self._in_flight, self._live = OrderedDict(), OrderedDict()

    def stats(self) -> SpoolStats:
        """See ``Spool``."""
        with self._lock:
            entries = [*self._in_flight.values(), *self._backlog.values(), *self._live.values()]
            oldest = min((entry.accepted_s for entry in entries), default=None)
            return SpoolStats(
                accepted_count=self._accepted,
                acknowledged_count=self._acknowledged,
                refused_count=self._refused,
                dropped_count=0,
                waiting_count=len(self._live) + len(self._backlog),
                in_flight_count=len(self._in_flight),
                stored_bytes=self._stored_bytes,
                oldest_age_s=None if oldest is None else time.monotonic() - oldest,
                commits_count=0,
                checkpoints_count=0,
            )

    def close(self) -> None:
        """See ``Spool``."""

    def _keep(self, state_entries: StateEntries) -> None:
        for key, value in state_entries.items():
            if value is None:
                self._notes.pop(key, None)
            else:
                self._notes[key] = value
