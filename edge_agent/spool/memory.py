"""The spool in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from edge_agent.errors import EdgeAgentError, SpoolFull
from edge_agent.spool.base import (
    ESSENTIAL_RESERVE_BYTES,
    MAX_REASON_CHARS,
    Message,
    QuarantinedMessage,
    SpoolStats,
    StateEntries,
    max_quarantined_bytes,
)


@dataclass(frozen=True, slots=True)
class _Entry:
    message: Message
    number: int
    accepted_s: float


class MemorySpool:
    """A spool that survives a lost broker, but not the end of the process."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._live: OrderedDict[UUID, _Entry] = OrderedDict()
        self._backlog: OrderedDict[UUID, _Entry] = OrderedDict()
        self._in_flight: OrderedDict[UUID, _Entry] = OrderedDict()
        self._quarantined: OrderedDict[UUID, _Entry] = OrderedDict()
        self._quarantined_bytes = 0
        self._unreported: list[QuarantinedMessage] = []
        self._notes: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._stored_bytes = 0
        self._accepted = 0
        self._acknowledged = 0
        self._refused = 0
        self._dropped = 0

    @property
    def error(self) -> EdgeAgentError | None:
        """See ``Spool``."""
        with self._lock:
            count = len(self._live) + len(self._backlog) + len(self._in_flight)
            # A spool is full if it has no room for a message like those before.
            return self._full() if self._stored_bytes + self._stored_bytes // max(1, count) > self._max_bytes else None

    def _full(self) -> SpoolFull:
        return SpoolFull(f"{self._stored_bytes} bytes wait for the broker; {self._refused} messages were refused.")

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

    def quarantine(self, message_id: UUID, code: str, reason: str) -> None:
        """See ``Spool``."""
        with self._lock:
            entry = self._in_flight.pop(message_id, None)
            if entry is None:
                return
            self._stored_bytes -= len(entry.message.payload)
            self._quarantined[message_id] = entry
            self._quarantined_bytes += len(entry.message.payload)
            self._unreported.append(
                QuarantinedMessage(message_id, entry.message.topic, code, reason[:MAX_REASON_CHARS])
            )
            while self._quarantined_bytes > max_quarantined_bytes(self._max_bytes):
                _, oldest = self._quarantined.popitem(last=False)
                self._quarantined_bytes -= len(oldest.message.payload)
                self._dropped += 1

    def pop_quarantined_messages(self) -> list[QuarantinedMessage]:
        """See ``Spool``."""
        with self._lock:
            unreported, self._unreported = self._unreported, []
            return unreported

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
                dropped_count=self._dropped,
                quarantined_count=len(self._quarantined),
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
