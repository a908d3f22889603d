"""The durable spool: an accepted message survives a kill, a lost broker and a power cut."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from edge_agent.errors import EdgeAgentError, SpoolError, SpoolFull
from edge_agent.spool.base import ESSENTIAL_RESERVE_BYTES, Message, QuarantinedMessage, SpoolStats, StateEntries
from edge_agent.spool.limits import SpoolLimits
from edge_agent.spool.recovery import QuarantinedFile
from edge_agent.spool.writer import SpoolWriter
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

_PENDING_MAX_BYTES = 4 * 1024 * 1024
"""Bytes that may wait to be written; this many collect only while the disk is full or does not respond."""


class SqliteSpool:
    """Messages in an SQLite file, written by one thread in groups, to spare SD cards fsyncs.

    ``append`` only queues. Within ``commit_delay_s`` the group is committed, and only then can it be taken. See
    ``Spool`` for the promise. If the file is damaged, deleted or replaced, a new one is created with what can still be
    read. On a full disk messages wait in memory, up to a limit, and the writing thread tries again every second.
    """

    def __init__(
        self,
        folder: Path,
        limits: SpoolLimits,
        *,
        on_change: Callable[[], None] = lambda: None,
        on_failure: Callable[[BaseException], None] = lambda _failure: None,
    ) -> None:
        """Open the spool in ``folder``, creating it if needed.

        Raises ``SpoolBusy`` if another process uses it, ``SpoolError`` or ``DiskFull`` if it can neither be opened nor
        replaced. ``on_change`` is called in the writing thread after each commit and change of ``error``;
        ``on_failure`` if a defect ends that thread.
        """
        self._folder = folder
        self._limits = limits
        self._last_stats: SpoolStats | None = None
        self._writer = SpoolWriter(folder, limits, on_change=on_change, on_failure=on_failure)
        self._changed = self._writer.changed
        self._writer.start()

    @property
    def stall_detector(self) -> StallDetector:
        """The detector of the writing thread."""
        return self._writer.stall_detector

    @property
    def error(self) -> EdgeAgentError | None:
        """See ``Spool``."""
        with self._changed:
            return self._writer.error or self._full()

    def pop_quarantined_files(self) -> list[QuarantinedFile]:
        """The files that were replaced since the last call."""
        with self._changed:
            found, self._writer.quarantined_files = self._writer.quarantined_files, []
            return found

    def pop_quarantined_messages(self) -> list[QuarantinedMessage]:
        """See ``Spool``."""
        with self._changed:
            return self._writer.ledger.pop_unreported()

    def append(self, message: Message, state_entries: StateEntries | None = None) -> None:
        """See ``Spool``."""
        with self._changed:
            problem = self._problem(message)
            if problem is not None:
                self._writer.ledger.counters.refused += 1
                self._writer.note_count()
                raise problem
            self._writer.add(message, state_entries or {})

    def write_state_entries(self, state_entries: StateEntries) -> None:
        """See ``Spool``."""
        with self._changed:
            self._writer.add(None, state_entries)

    def state_entries(self, prefix: str = "") -> dict[str, bytes]:
        """See ``Spool``. Includes entries that are not written yet."""
        with self._changed:
            found = dict(self._writer.state_entries)
            self._writer.pending.apply_to(found)
            return {key: value for key, value in found.items() if key.startswith(prefix)}

    def flush(self, timeout_s: float) -> bool:
        """See ``Spool``."""
        with self._changed:
            return self._writer.flush(timeout_s)

    def take(self, *, live: bool) -> Message | None:
        """See ``Spool``."""
        with self._changed:
            ledger = self._writer.ledger
            quarantined = ledger.counters.quarantined
            message = ledger.take(self._writer.find, live=live)
            if ledger.counters.quarantined != quarantined:
                self._writer.note_change(urgent=True)
            return message

    def acknowledge(self, message_id: UUID) -> None:
        """See ``Spool``."""
        with self._changed:
            if self._writer.ledger.acknowledge(message_id):
                self._writer.note_change()

    def quarantine(self, message_id: UUID, code: str, reason: str) -> None:
        """See ``Spool``."""
        with self._changed:
            if self._writer.ledger.quarantine(message_id, code, reason):
                self._writer.note_change(urgent=True)

    def requeue_all(self) -> None:
        """See ``Spool``."""
        with self._changed:
            self._writer.ledger.requeue_all()

    def stats(self) -> SpoolStats:
        """See ``Spool``. A message counts as accepted once it is committed."""
        with self._changed:
            if self._last_stats is not None:
                return self._last_stats
            ledger = self._writer.ledger
            counters = ledger.counters
            oldest = ledger.oldest(self._writer.find)
            return SpoolStats(
                accepted_count=counters.accepted,
                acknowledged_count=counters.acknowledged,
                refused_count=counters.refused,
                dropped_count=counters.dropped,
                quarantined_count=counters.quarantined,
                waiting_count=ledger.stored_count - ledger.in_flight_count,
                in_flight_count=ledger.in_flight_count,
                stored_bytes=ledger.stored_bytes,
                oldest_age_s=None if oldest is None else max(0.0, ledger.clock_s() - oldest.accepted_s),
                commits_count=self._writer.commits_count,
                checkpoints_count=self._writer.checkpoints_count,
            )

    def close(self) -> None:
        """See ``Spool``. Messages that do not fit on a full disk are lost, and the log says how many."""
        self._writer.stop()
        stats = self.stats()
        with self._changed:
            self._last_stats = stats
            if self._writer.pending:
                lost = self._writer.pending.messages_count
                log.error("%d messages could not be written and are lost: %s", lost, self._writer.error)
        self._writer.close()

    def abandon(self) -> None:
        """Stop as if the process were killed: what is not durable yet is not written. Call ``close`` afterwards."""
        self._writer.abandon()

    def _problem(self, message: Message) -> EdgeAgentError | None:
        """Why a message cannot be kept, or None."""
        size = len(message.payload)
        pending_bytes = self._writer.pending.size_bytes
        if pending_bytes + size > _PENDING_MAX_BYTES:
            return self._writer.error or SpoolError(
                f"{self._folder} is too slow: {pending_bytes} bytes wait to be written."
            )
        if self._limits.when_full == "drop_oldest":
            return None
        reserve = ESSENTIAL_RESERVE_BYTES if message.essential else 0
        if self._writer.ledger.stored_bytes + pending_bytes + size > self._limits.max_bytes + reserve:
            return self._full(size)
        return None

    def _full(self, size: int = 0) -> SpoolFull | None:
        """The error of a full spool; None while there is room for a message like those before."""
        ledger = self._writer.ledger
        wanted = size or (ledger.stored_bytes // max(1, ledger.stored_count))
        stored = ledger.stored_bytes + self._writer.pending.size_bytes
        if self._limits.when_full == "drop_oldest" or stored + wanted <= self._limits.max_bytes:
            return None
        return SpoolFull(
            f"{ledger.stored_count} messages ({stored / 2**20:.1f} MiB) wait for the broker; "
            f"{ledger.counters.refused} have been refused so far."
        )
