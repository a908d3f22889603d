"""The durable spool: a message that it accepted outlasts a kill, a lost broker and a power cut."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from uuid import UUID

from edge_agent.errors import DiskFull, EdgeAgentError, MessageDamaged, SpoolCorrupt, SpoolError, SpoolFull
from edge_agent.spool.base import (
    ESSENTIAL_RESERVE_BYTES,
    MAX_REASON_CHARS,
    Message,
    QuarantinedMessage,
    SpoolStats,
    StateEntries,
    max_quarantined_bytes,
)
from edge_agent.spool.file import (
    Change,
    SpoolFile,
    is_corrupt,
)
from edge_agent.spool.folder import FILE, Reserve, lock_folder, no_room
from edge_agent.spool.recovery import QuarantinedFile, quarantine_file, salvage
from edge_agent.spool.rows import Counters, DamagedRow, Row
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

_BATCH_MAX = 256
_BATCH_MAX_BYTES = 256 * 1024
_DELETED_AT_ONCE = 50
_PENDING_MAX_BYTES = 4 * 1024 * 1024
"""Not yet written; more than that collects only while the disk is full or does not answer."""
_LAZY_S = 5.0
"""Acknowledgements and counters wait so long for a message to be committed with: after a kill they are only repeats."""
_IDLE_S = 60.0
STUCK_S = 60.0
"""A card may take many seconds for one sync, but not a minute."""
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much is kept for how long, and how soon it is durable."""

    max_bytes: int
    max_age_s: float
    when_full: Literal["reject_new", "drop_oldest"] = "reject_new"
    commit_delay_s: float = 0.2


@dataclass(frozen=True, slots=True)
class _Pending:
    """Not yet written: a message with its state entries, or these alone. It goes into one transaction, whole."""

    message: Message | None
    state_entries: StateEntries
    generation: int

    @property
    def size(self) -> int:
        return 0 if self.message is None else len(self.message.payload)


class SqliteSpool:
    """Messages in an SQLite file, written by one thread in groups: few fsyncs, for SD cards wear out.

    ``append`` only queues. Within ``commit_delay_s`` the group is committed, and only then can it be taken. See
    ``Spool`` for the promise. A file that is damaged is set aside, what it still holds is taken over, and a new one
    begun; on a full disk messages wait in memory, as far as they may, and the writing thread tries again each second.
    """

    def __init__(
        self,
        folder: Path,
        limits: SpoolLimits,
        *,
        on_change: Callable[[], None] = lambda: None,
        on_failure: Callable[[BaseException], None] = lambda _failure: None,
    ) -> None:
        """Open ``folder``'s spool, made if needed. Raises ``SpoolBusy``, or ``SpoolError`` if it cannot be opened.

        ``on_change`` is called in the writing thread after each commit and change of ``error``; ``on_failure`` if that
        thread ends by a defect.
        """
        self._folder = folder
        self._path = folder / FILE
        self._reserve = Reserve(folder)
        self._limits = limits
        self.stall_detector = StallDetector(STUCK_S)
        self._on_change = on_change
        self._on_failure = on_failure
        self._lock_file = lock_folder(folder)
        self._changed = threading.Condition()
        self._error: EdgeAgentError | None = None
        self._quarantined_files: list[QuarantinedFile] = []
        self._quarantined_messages: list[QuarantinedMessage] = []
        # Code and reason by number, until the file has them too.
        self._quarantined: dict[int, tuple[str, str]] = {}
        self._commits = self._checkpoints = 0
        self._pending: list[_Pending] = []
        self._pending_bytes = 0
        self._urgent_since: float | None = None
        self._lazy_since: float | None = None
        self._retry_at = 0.0
        self._generation = self._durable_generation = self._flush_wanted = 0
        self._batch_bytes = _BATCH_MAX_BYTES
        self._commits_when_full = 0
        self._closing = False
        self._last_stats: SpoolStats | None = None
        self._damage: SpoolCorrupt | None = None
        self._acknowledged: set[int] = set()
        self._in_flight: dict[UUID, Row] = {}
        try:
            self._open()
        except EdgeAgentError:
            self._lock_file.close()
            raise
        self._writer = threading.Thread(target=self._run, name="spool", daemon=True)
        self._writer.start()

    @property
    def error(self) -> EdgeAgentError | None:
        """See ``Spool``."""
        with self._changed:
            return self._error or self._full()

    def pop_quarantined_files(self) -> list[QuarantinedFile]:
        """The damaged files that were replaced since this was last asked."""
        with self._changed:
            found, self._quarantined_files = self._quarantined_files, []
            return found

    def pop_quarantined_messages(self) -> list[QuarantinedMessage]:
        """See ``Spool``."""
        with self._changed:
            found, self._quarantined_messages = self._quarantined_messages, []
            return found

    def append(self, message: Message, state_entries: StateEntries | None = None) -> None:
        """See ``Spool``."""
        with self._changed:
            problem = self._problem(message)
            if problem is not None:
                self._counters.refused += 1
                self._be_lazy()
                raise problem
            self._enqueue(message, state_entries or {})

    def write_state_entries(self, state_entries: StateEntries) -> None:
        """See ``Spool``."""
        with self._changed:
            self._enqueue(None, state_entries)

    def state_entries(self, prefix: str = "") -> dict[str, bytes]:
        """See ``Spool``. Those that are still to be written count."""
        with self._changed:
            found = dict(self._notes)
            for pending in self._pending:
                _apply(pending.state_entries, found)
            return {key: value for key, value in found.items() if key.startswith(prefix)}

    def flush(self, timeout_s: float) -> bool:
        """See ``Spool``."""
        with self._changed:
            wanted = self._generation
            self._flush_wanted = wanted
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._durable_generation >= wanted, timeout_s)

    def take(self, *, live: bool) -> Message | None:
        """See ``Spool``."""
        with self._changed:
            if not self._stored_count:
                return None
            while True:
                row = self._next(live=live)
                if row is None:
                    return None
                if live:
                    self._live_after = row.number
                else:
                    self._backlog_after = row.number
                if row.number in self._acknowledged or row.number in self._quarantined:
                    continue
                if isinstance(row, DamagedRow):
                    quarantined = QuarantinedMessage(None, row.topic, MessageDamaged.code, row.reason)
                    self._set_apart(row.number, row.size, quarantined)
                elif row.message.id in self._in_flight:
                    reason = "its id is that of another message"
                    quarantined = QuarantinedMessage(row.message.id, row.message.topic, MessageDamaged.code, reason)
                    self._set_apart(row.number, len(row.message.payload), quarantined)
                else:
                    self._in_flight[row.message.id] = row
                    return row.message

    def acknowledge(self, message_id: UUID) -> None:
        """See ``Spool``."""
        with self._changed:
            row = self._in_flight.pop(message_id, None)
            if row is None:
                return
            self._acknowledged.add(row.number)
            self._stored_count -= 1
            self._stored_bytes -= len(row.message.payload)
            self._counters.acknowledged += 1
            self._generation += 1
            self._be_lazy()

    def quarantine(self, message_id: UUID, code: str, reason: str) -> None:
        """See ``Spool``."""
        with self._changed:
            row = self._in_flight.pop(message_id, None)
            if row is not None:
                quarantined = QuarantinedMessage(message_id, row.message.topic, code, reason[:MAX_REASON_CHARS])
                self._set_apart(row.number, len(row.message.payload), quarantined)

    def _set_apart(self, number: int, size: int, quarantined: QuarantinedMessage) -> None:
        self._quarantined[number] = (quarantined.code, quarantined.reason)
        self._quarantined_messages.append(quarantined)
        self._stored_count -= 1
        self._stored_bytes -= size
        self._counters.quarantined += 1
        self._generation += 1
        if self._urgent_since is None:
            self._urgent_since = time.monotonic()
            self._changed.notify_all()

    def requeue_all(self) -> None:
        """See ``Spool``."""
        with self._changed:
            self._in_flight.clear()
            self._backlog_after, self._backlog_until = 0, self._last_number
            self._live_after = self._last_number

    def stats(self) -> SpoolStats:
        """See ``Spool``. What is not committed yet is not accepted yet."""
        with self._changed:
            if self._last_stats is not None:
                return self._last_stats
            oldest = self._oldest()
            counters = self._counters
            return SpoolStats(
                accepted_count=counters.accepted,
                acknowledged_count=counters.acknowledged,
                refused_count=counters.refused,
                dropped_count=counters.dropped,
                quarantined_count=counters.quarantined,
                waiting_count=self._stored_count - len(self._in_flight),
                in_flight_count=len(self._in_flight),
                stored_bytes=self._stored_bytes,
                oldest_age_s=None if oldest is None else max(0.0, self._clock_s() - oldest.accepted_s),
                commits_count=self._commits + self._file.commits,
                checkpoints_count=self._checkpoints + self._file.checkpoints,
            )

    def close(self) -> None:
        """See ``Spool``. What a full disk did not take is lost, and the log says how much."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()
        stats = self.stats()
        with self._changed:
            self._last_stats = stats
            if self._pending:
                lost = sum(pending.message is not None for pending in self._pending)
                log.error("%d messages could not be written and are lost: %s", lost, self._error)
            self._file.close()
        self._lock_file.close()

    def _problem(self, message: Message) -> EdgeAgentError | None:
        """Why a message cannot be kept, or None."""
        size = len(message.payload)
        if self._pending_bytes + size > _PENDING_MAX_BYTES:
            return self._error or SpoolError(f"{self._folder} is too slow: {self._pending_bytes} bytes wait for it.")
        if self._limits.when_full == "drop_oldest":
            return None
        reserve = ESSENTIAL_RESERVE_BYTES if message.essential else 0
        if self._stored_bytes + self._pending_bytes + size > self._limits.max_bytes + reserve:
            return self._full(size)
        return None

    def _full(self, size: int = 0) -> SpoolFull | None:
        """The error of a full spool; None while there is room for a message like those before."""
        wanted = size or (self._stored_bytes // max(1, self._stored_count))
        stored = self._stored_bytes + self._pending_bytes
        if self._limits.when_full == "drop_oldest" or stored + wanted <= self._limits.max_bytes:
            return None
        return SpoolFull(
            f"{self._stored_count} messages ({stored / 2**20:.1f} MiB) wait for the broker; "
            f"{self._counters.refused} have been refused so far."
        )

    def _enqueue(self, message: Message | None, state_entries: StateEntries) -> None:
        self._generation += 1
        pending = _Pending(message, state_entries, self._generation)
        self._pending.append(pending)
        self._pending_bytes += pending.size
        if self._urgent_since is None:
            self._urgent_since = time.monotonic()
            self._changed.notify_all()
        elif len(self._pending) >= _BATCH_MAX:
            self._changed.notify_all()

    def _be_lazy(self) -> None:
        if self._lazy_since is None:
            self._lazy_since = time.monotonic()
            self._changed.notify_all()

    def _clock_s(self) -> float:
        return self._clock_base_s + time.monotonic() - self._opened_at

    def _next(self, *, live: bool) -> Row | DamagedRow | None:
        """The next row of one kind. A file that turns out to be damaged is left to the writing thread."""
        try:
            if live:
                return self._file.next(self._live_after)
            return self._file.next(self._backlog_after, self._backlog_until)
        except sqlite3.Error as error:
            self._report_unreadable(error)
            return None

    def _oldest(self) -> Row | None:
        after = 0
        try:
            while (row := self._file.next(after)) is not None:
                if isinstance(row, Row) and row.number not in self._acknowledged | self._quarantined.keys():
                    return row
                after = row.number
        except sqlite3.Error as error:
            self._report_unreadable(error)
        return None

    def _report_unreadable(self, error: sqlite3.Error) -> None:
        if is_corrupt(error):
            self._damage = SpoolCorrupt(f"{self._path} is damaged: {error}.")
        else:
            self._set_error(SpoolError(f"{self._path} cannot be read: {error}."))
        self._changed.notify_all()

    def _open(self) -> None:
        """Open the file, or replace it if it is damaged, and begin with all that is in it as backlog."""
        try:
            self._file = self._open_in_reserve()
        except SpoolCorrupt as damage:
            self._replace(damage, None)
            return
        self._take_up(self._file.counters())

    def _open_in_reserve(self) -> SpoolFile:
        """Open the file; on a full disk in the room that was kept, for SQLite has to make an index of the log first."""
        try:
            return SpoolFile(self._path)
        except SpoolCorrupt:
            raise
        except SpoolError:
            if not no_room(self._folder) or not self._reserve.release():
                raise
            log.warning("the disk is full; the spool opens in its reserve")
            return SpoolFile(self._path)

    def _take_up(self, counters: Counters) -> None:
        self._counters = counters
        self._clock_base_s, self._opened_at = counters.clock_s, time.monotonic()
        self._notes = self._file.state_entries()
        self._stored_count, self._stored_bytes = self._file.totals()
        self._last_number = self._file.last_number()
        self._backlog_after, self._backlog_until = 0, self._last_number
        self._live_after = self._last_number
        self._in_flight.clear()
        self._acknowledged.clear()
        self._quarantined.clear()

    def _replace(self, damage: SpoolCorrupt, known: Counters | None) -> None:
        """Set a damaged file aside and begin a new one with what can still be read.

        ``known`` are the counters, where they are in memory; the state entries are then there too.
        """
        log.error("%s", damage)
        try:
            aside = quarantine_file(self._path)
        except OSError as error:
            raise SpoolError(f"{self._path} is damaged and cannot be set aside: {error.strerror}.") from error
        saved = salvage(aside)
        left = [row for row in saved.rows if row.number not in self._acknowledged]
        rows = [row for row in left if row.number not in self._quarantined]
        quarantined = saved.quarantined + [
            (row.message.id.bytes, row.message.topic, row.message.payload, row.accepted_s, *why)
            for row in left
            if (why := self._quarantined.get(row.number)) is not None
        ]
        counters = saved.counters if known is None else known
        found = len(rows) + len(quarantined)
        held = counters.accepted - counters.acknowledged - counters.dropped
        counters.accepted += max(0, found - held)
        counters.dropped += max(0, held - found)
        counters.quarantined = len(quarantined)
        state_entries: StateEntries = saved.state_entries if known is None else self._notes
        self._file = SpoolFile(self._path)
        change = Change(
            [(row.message, row.accepted_s) for row in rows],
            salvaged=quarantined,
            max_quarantined_bytes=max_quarantined_bytes(self._limits.max_bytes),
            state_entries=state_entries,
        )
        self._file.write(change, counters)
        self._take_up(counters)
        self._quarantined_files.append(QuarantinedFile(aside, damage.message, len(rows)))

    def _run(self) -> None:
        try:
            while self._wait():
                with self.stall_detector.work():
                    self._commit()
        except BaseException as failure:
            log.critical("the spool's thread failed", exc_info=failure)
            self._on_failure(failure)

    def _wait(self) -> bool:
        """Until there is something to write; False once all is written and the spool closes."""
        with self._changed:
            # While messages wait, the clock that their age goes by must be kept.
            idle_until = time.monotonic() + (_IDLE_S if self._stored_count else float("inf"))
            while True:
                now = time.monotonic()
                if self._closing:
                    # One last attempt; what a full disk does not take now it will not take.
                    return self._is_dirty() and self._error is None
                due = idle_until
                if self._urgent_since is not None:
                    due = min(due, self._urgent_since + self._limits.commit_delay_s)
                if self._lazy_since is not None:
                    due = min(due, self._lazy_since + _LAZY_S)
                flush = self._flush_wanted > self._durable_generation
                if flush or len(self._pending) >= _BATCH_MAX or self._damage is not None:
                    due = now
                due = max(due, self._retry_at)
                if due <= now:
                    return True
                self._changed.wait(None if due == float("inf") else due - now)

    def _is_dirty(self) -> bool:
        return (
            bool(self._acknowledged) or bool(self._quarantined) or self._lazy_since is not None or bool(self._pending)
        )

    def _commit(self) -> None:
        with self._changed:
            damage, self._damage = self._damage, None
            self._urgent_since = self._lazy_since = None
            batch = self._next_batch()
            messages = [pending.message for pending in batch if pending.message is not None]
            size = sum(pending.size for pending in batch)
            # Only those of this batch: a note must not be durable before the message that it came with.
            state_entries = {key: value for pending in batch for key, value in pending.state_entries.items()}
            removed = sorted(self._acknowledged)
            quarantined = dict(self._quarantined)
            generation = self._generation if len(batch) == len(self._pending) else batch[-1].generation
            counters = replace(self._counters, clock_s=self._clock_s())
            counters.accepted += len(messages)
            in_flight = {row.number for row in self._in_flight.values()}
            excess = self._stored_bytes + size - self._limits.max_bytes
        try:
            if damage is not None:
                raise damage
            if batch:
                self._keep_reserve()
            dropped = self._to_drop(excess, counters.clock_s, in_flight | {*removed, *quarantined})
            counters.dropped += len(dropped)
            change = Change(
                [(message, counters.clock_s) for message in messages],
                [*removed, *dropped],
                quarantined,
                max_quarantined_bytes=max_quarantined_bytes(self._limits.max_bytes),
                state_entries=state_entries,
            )
            written = self._file.write(change, counters)
        except (SpoolCorrupt, DiskFull, sqlite3.Error) as error:
            self._meet(error, removed)
            return
        with self._changed:
            del self._pending[: len(batch)]
            self._pending_bytes -= size
            _apply(state_entries, self._notes)
            self._acknowledged.difference_update(removed)
            self._counters.accepted += len(messages)
            for number in quarantined:
                self._quarantined.pop(number, None)
            self._counters.dropped += len(dropped) + written.evicted_count
            self._counters.quarantined -= written.evicted_count
            self._stored_count += len(messages) - len(dropped)
            self._stored_bytes += size - sum(dropped.values())
            # What was taken just before it was deleted is on its way, but counts as dropped.
            self._in_flight = {key: row for key, row in self._in_flight.items() if row.number not in dropped}
            if written.numbers:
                self._last_number = written.numbers[-1]
            self._durable_generation = max(self._durable_generation, generation)
            if self._urgent_since is None and self._pending:
                self._urgent_since = time.monotonic()
            self._batch_bytes = min(2 * self._batch_bytes + 1, _BATCH_MAX_BYTES)
            self._set_error(None)
            self._changed.notify_all()
        self._checkpoint_if_due()
        self._on_change()

    def _keep_reserve(self) -> None:
        """Raises ``DiskFull``."""
        if not self._reserve.make():
            raise DiskFull(f"{self._folder} has no room for the spool.")

    def _next_batch(self) -> list[_Pending]:
        """The oldest pending messages and state entries that one transaction takes."""
        batch: list[_Pending] = []
        size = 0
        for pending in self._pending[:_BATCH_MAX]:
            size += pending.size
            if batch and size > self._batch_bytes:
                break
            batch.append(pending)
        return batch

    def _to_drop(self, excess: int, clock_s: float, kept: set[int]) -> dict[int, int]:
        """Numbers and sizes of the messages that must go: the too old, and the oldest where that is the rule."""
        dropped: dict[int, int] = {}
        for number, size, accepted_s in self._file.oldest_first(in_flight=kept):
            too_old = accepted_s < clock_s - self._limits.max_age_s
            too_much = self._limits.when_full == "drop_oldest" and excess > 0
            if not too_old and not too_much:
                break
            dropped[number] = size
            excess -= size
        return dropped

    def _checkpoint_if_due(self) -> None:
        try:
            self._file.checkpoint_if_due()
        except sqlite3.Error as error:
            if is_corrupt(error):
                self._damage = SpoolCorrupt(f"{self._path} is damaged: {error}.")
            elif self._is_full(error):
                self._make_room([])
            else:
                log.warning("the spool's log could not be copied into its file: %s", error)

    def _is_full(self, error: sqlite3.Error) -> bool:
        # Where the disk has no room for the log's index either, SQLite calls it an input/output error.
        full = (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_FULL
        return full or no_room(self._folder)

    def _meet(self, error: SpoolCorrupt | DiskFull | sqlite3.Error, removed: list[int]) -> None:
        """Do what is to be done about a transaction that failed."""
        match error:
            case SpoolCorrupt():
                self._begin_anew(error)
            case DiskFull():
                self._fail(error, removed)
            case sqlite3.Error() if is_corrupt(error):
                self._begin_anew(SpoolCorrupt(f"{self._path} is damaged: {error}."))
            case sqlite3.Error():
                kind = DiskFull if self._is_full(error) else SpoolError
                self._fail(kind(f"{self._path} cannot be written: {error}."), removed)

    def _fail(self, error: EdgeAgentError, removed: list[int]) -> None:
        if isinstance(error, DiskFull):
            moved_on = self._file.commits != self._commits_when_full
            self._make_room(removed)
            self._commits_when_full = self._file.commits
            # The room that there is may do for fewer.
            self._batch_bytes //= 2
            if moved_on:
                # The log was not empty before and is now: at once again.
                with self._changed:
                    self._urgent_since = float("-inf")
                return
        with self._changed:
            self._set_error(error)
            self._retry_at = self._urgent_since = time.monotonic() + _RETRY_S
            self._changed.notify_all()
        self._on_change()

    def _make_room(self, removed: list[int]) -> None:
        """Copy the log into the file, and delete what was delivered, in the room that was kept for it."""
        self._reserve.release()
        try:
            self._file.checkpoint()
            for start in range(0, len(removed), _DELETED_AT_ONCE):
                part = removed[start : start + _DELETED_AT_ONCE]
                with self._changed:
                    counters = replace(self._counters, clock_s=self._clock_s())
                self._file.write(Change(removed=part), counters)
                self._file.checkpoint()
                with self._changed:
                    self._acknowledged.difference_update(part)
        except sqlite3.Error as error:
            # Tried again each second; the state itself is logged once.
            log.debug("there is no room even for deleting what was delivered: %s", error)
        self._reserve.make()

    def _begin_anew(self, damage: SpoolCorrupt) -> None:
        """Replace the file while running: what waits in memory goes into the new one."""
        with self._changed:
            self._commits += self._file.commits
            self._checkpoints += self._file.checkpoints
            self._file.close()
            self._counters.clock_s = self._clock_s()
            self._replace(damage, self._counters)
            self._urgent_since = time.monotonic()
            self._changed.notify_all()
        self._on_change()

    def _set_error(self, error: EdgeAgentError | None) -> None:
        before, self._error = self._error, error
        if error is not None and (before is None or before.code != error.code):
            log.error("%s", error)
        elif error is None and before is not None:
            log.info("the spool works again")


def _apply(state_entries: StateEntries, kept: dict[str, bytes]) -> None:
    for key, value in state_entries.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value
