"""The thread that writes the durable spool, in groups of changes, and retries while the disk refuses them."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import DiskFull, EdgeAgentError, SpoolCorrupt, SpoolError, SpoolMissing
from edge_agent.spool.base import Message, StateEntries, max_quarantined_bytes
from edge_agent.spool.file import Change, is_corrupt, primary_code
from edge_agent.spool.folder_lock import FolderLock
from edge_agent.spool.ledger import Leaving, Ledger
from edge_agent.spool.limits import SpoolLimits
from edge_agent.spool.pending import BATCH_MAX, Pending, PendingQueue, apply_entries
from edge_agent.spool.place import FILE, explain_unwritable, has_no_room
from edge_agent.spool.recovery import (
    Opened,
    QuarantinedFile,
    Salvage,
    open_spool,
    quarantine_replacement,
    replace,
    salvage_closed,
)
from edge_agent.spool.reserve import Reserve
from edge_agent.spool.rows import Counters, DamagedRow, Row
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

_DELETED_AT_ONCE = 50
_LAZY_S = 5.0
"""How long acknowledgements and counters wait to be committed with a message: losing them in a kill only causes
repeats."""
_IDLE_S = 60.0
_PLACE_S = 5.0
"""Interval of the checks whether the file is still in place, while there is nothing to write."""
STUCK_S = 60.0
"""A card may take many seconds for one sync, but not a minute."""
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Batch:
    """The content of one transaction, as of its start."""

    pending: list[Pending]
    messages: list[Message]
    state_entries: StateEntries
    size: int
    leaving: Leaving
    generation: int
    counters: Counters
    excess: int
    """Bytes above the limit, including the new messages."""


class SpoolWriter:
    """Owns the file and the only thread that writes to it.

    ``changed`` guards all attributes: hold it to read or change one. The thread releases it while it writes.
    """

    def __init__(
        self,
        folder: Path,
        limits: SpoolLimits,
        *,
        on_change: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Lock the folder and open the file; ``start`` starts to write.

        Raises ``SpoolBusy``, or ``SpoolError`` or ``DiskFull`` if it cannot be opened.
        """
        self.changed = threading.Condition()
        self.stall_detector = StallDetector(STUCK_S)
        self.pending = PendingQueue()
        self.state_entries: dict[str, bytes] = {}
        self.error: EdgeAgentError | None = None
        self.quarantined_files: list[QuarantinedFile] = []
        self._folder = folder
        self._path = folder / FILE
        self._reserve = Reserve(folder)
        self._limits = limits
        self._on_change = on_change
        self._on_failure = on_failure
        self._past_commits = self._past_checkpoints = 0
        self._urgent_since: float | None = None
        self._lazy_since: float | None = None
        self._retry_at = 0.0
        self._generation = self._durable_generation = self._flush_wanted = 0
        self._commits_when_full = 0
        self._closing = False
        self._damage: SpoolCorrupt | SpoolMissing | None = None
        # The content of the next file, if that could not be created yet.
        self._salvage: Salvage | None = None
        self._file_is_open = True
        self._lock = FolderLock(folder)
        try:
            opened = open_spool(self._path, self._reserve, limits.max_bytes)
            self._file = opened.file
            self.state_entries = opened.contents.state_entries
            self.ledger = self._make_ledger(opened, opened.contents.last_number)
        except EdgeAgentError:
            self._lock.close()
            raise
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, as far as the disk accepts it, and end the thread."""
        with self.changed:
            self._closing = True
            self.changed.notify_all()
        self._thread.join()

    def close(self) -> None:
        """Close the files, after ``stop``."""
        self._file.close()
        self._lock.close()

    def abandon(self) -> None:
        """End as if the process were killed: what is not durable is lost, and the log stays as it is."""
        with self.changed:
            self.pending.clear()
            self._closing, self._lazy_since, self._urgent_since = True, None, None
            # Nothing is dirty, so that the thread does not write again.
            self.ledger.forget_leaving()
            self.changed.notify_all()
        self._thread.join()

    @property
    def commits_count(self) -> int:
        """Durable writes since the spool was opened."""
        return self._past_commits + self._file.commits

    @property
    def checkpoints_count(self) -> int:
        """Copies of the log into the file since the spool was opened."""
        return self._past_checkpoints + self._file.checkpoints

    def add(self, message: Message | None, state_entries: StateEntries) -> None:
        """Queue a message, or state entries alone."""
        self._generation += 1
        self.pending.append(Pending(message, state_entries, self._generation))
        if len(self.pending) >= BATCH_MAX:
            self.changed.notify_all()
        self._write_soon()

    def note_change(self, *, urgent: bool = False) -> None:
        """The ledger has changed: write it soon, or with the next message or after a while."""
        self._generation += 1
        if urgent:
            self._write_soon()
        else:
            self.note_count()

    def note_count(self) -> None:
        """A counter has changed that is not urgent."""
        if self._lazy_since is None:
            self._lazy_since = time.monotonic()
            self.changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued or changed so far is durable. False after the time-out."""
        wanted = self._generation
        self._flush_wanted = wanted
        self.changed.notify_all()
        return self.changed.wait_for(lambda: self._durable_generation >= wanted, timeout_s)

    def find(self, after: int, until: int | None) -> Row | DamagedRow | None:
        """The first row in the file within these numbers. A damaged file is left to the thread."""
        if not self._file_is_open:
            return None
        try:
            return self._file.next(after, until)
        except sqlite3.Error as error:
            if is_corrupt(error):
                self._damage = SpoolCorrupt(f"{self._path} is damaged: {error}.")
            else:
                self._set_error(SpoolError(f"{self._path} cannot be read: {error}."))
            self.changed.notify_all()
            return None

    def _write_soon(self) -> None:
        if self._urgent_since is None:
            self._urgent_since = time.monotonic()
            self.changed.notify_all()

    def _make_ledger(self, opened: Opened, backlog_until: int) -> Ledger:
        if opened.replaced is not None:
            self.quarantined_files.append(opened.replaced)
        contents = opened.contents
        ledger = Ledger(
            contents.counters,
            stored_count=contents.stored_count,
            stored_bytes=contents.stored_bytes,
            last_number=contents.last_number,
            backlog_until=backlog_until,
        )
        ledger.add_unreported(opened.damaged)
        return ledger

    def _run(self) -> None:
        try:
            while self._wait():
                with self.stall_detector.work():
                    self._commit()
        except BaseException as failure:
            log.critical("the spool's thread failed", exc_info=failure)
            self._on_failure(failure)

    def _wait(self) -> bool:
        """Wait until there is something to write. False once everything is written and the spool closes."""
        with self.changed:
            # While messages wait, the clock of their age must be stored.
            idle_until = time.monotonic() + (_IDLE_S if self.ledger.stored_count else float("inf"))
            while True:
                now = time.monotonic()
                if self._closing:
                    # One last attempt; a full disk will not accept more later.
                    return self.error is None and (self._is_dirty() or not self._is_in_place())
                due = idle_until
                if self._urgent_since is not None:
                    due = min(due, self._urgent_since + self._limits.commit_delay_s)
                if self._lazy_since is not None:
                    due = min(due, self._lazy_since + _LAZY_S)
                flush = self._flush_wanted > self._durable_generation
                if flush or len(self.pending) >= BATCH_MAX or self._damage is not None:
                    due = now
                due = max(due, self._retry_at)
                if due <= now:
                    return True
                self.changed.wait(min(_PLACE_S, due - now))
                if not self._is_in_place():
                    return True

    def _is_in_place(self) -> bool:
        try:
            self._check_place()
        except SpoolError:
            return time.monotonic() < self._retry_at
        return True

    def _check_place(self) -> None:
        """Raises ``SpoolMissing`` if the file or its log is no longer in its place; ``SpoolError``."""
        if self._file_is_open:
            self._file.check_place()
        self._keep_folder()

    def _keep_folder(self) -> None:
        """Lock the folder again if it, or only its lock file, was deleted. Raises ``SpoolError``, ``DiskFull``."""
        try:
            self._lock.place.check()
        except SpoolMissing as error:
            log.warning("%s; locking the folder again", error.message.rstrip("."))
            lock = FolderLock(self._folder)
            self._lock.close()
            self._lock = lock

    def _is_dirty(self) -> bool:
        return self.ledger.is_dirty or self._lazy_since is not None or bool(self.pending)

    def _begin_batch(self) -> _Batch:
        pending = self.pending.next_batch()
        messages = [each.message for each in pending if each.message is not None]
        size = sum(each.size for each in pending)
        counters = self.ledger.counters_now()
        counters.accepted += len(messages)
        return _Batch(
            pending=pending,
            messages=messages,
            # Only the entries of this batch: an entry must not be durable before its message.
            state_entries={key: value for each in pending for key, value in each.state_entries.items()},
            size=size,
            leaving=self.ledger.leaving(),
            generation=self._generation if len(pending) == len(self.pending) else pending[-1].generation,
            counters=counters,
            excess=self.ledger.stored_bytes + size - self._limits.max_bytes,
        )

    def _commit(self) -> None:
        with self.changed:
            damage, self._damage = self._damage, None
            self._urgent_since = self._lazy_since = None
            batch = self._begin_batch()
        counters = batch.counters
        try:
            if damage is not None:
                raise damage
            self._check_place()
            if batch.pending:
                self._reserve.make()
            dropped = self._to_drop(batch)
            counters.dropped += len(dropped)
            change = Change(
                [(message, counters.clock_s) for message in batch.messages],
                [*batch.leaving.acknowledged, *dropped],
                batch.leaving.quarantined,
                max_quarantined_bytes=max_quarantined_bytes(self._limits.max_bytes),
                state_entries=batch.state_entries,
            )
            written = self._file.write(change, counters)
            # Content written to a file that has lost its name is written again.
            self._check_place()
        except (EdgeAgentError, sqlite3.Error) as error:
            self._handle_failure(error, batch.leaving.acknowledged)
            return
        with self.changed:
            self.pending.remove(batch.pending)
            apply_entries(batch.state_entries, self.state_entries)
            self.ledger.settle(
                batch.leaving,
                appended_bytes=batch.size,
                numbers=written.numbers,
                dropped=dropped,
                evicted_count=written.evicted_count,
            )
            self._durable_generation = max(self._durable_generation, batch.generation)
            if self.pending:
                self._write_soon()
            self._set_error(None)
            self.changed.notify_all()
        self._checkpoint_if_due()
        self._on_change()

    def _to_drop(self, batch: _Batch) -> dict[int, int]:
        """Numbers and sizes of the messages to drop: those that are too old, and the oldest with ``drop_oldest``."""
        dropped: dict[int, int] = {}
        excess = batch.excess
        for number, size, accepted_s in self._file.oldest_first(in_flight=batch.leaving.not_to_drop):
            too_old = accepted_s < batch.counters.clock_s - self._limits.max_age_s
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
        # If the disk has no room for the log's index, SQLite reports an input/output error.
        full = primary_code(error) == sqlite3.SQLITE_FULL
        return full or has_no_room(self._folder)

    def _handle_failure(self, error: EdgeAgentError | sqlite3.Error, acknowledged: list[int]) -> None:
        """Handle a failed transaction."""
        match error:
            case SpoolCorrupt() | SpoolMissing():
                self._replace_file(error)
            case EdgeAgentError():
                self._fail(error, acknowledged)
            case sqlite3.Error() if is_corrupt(error):
                self._replace_file(SpoolCorrupt(f"{self._path} is damaged: {error}."))
            case sqlite3.Error() if self._is_full(error):
                self._fail(DiskFull(f"{self._path} cannot be written: {error}."), acknowledged)
            case sqlite3.Error():
                self._fail(explain_unwritable(self._path, str(error)), acknowledged)

    def _fail(self, error: EdgeAgentError, acknowledged: list[int]) -> None:
        if isinstance(error, DiskFull) and self._file_is_open:
            moved_on = self._file.commits != self._commits_when_full
            self._make_room(acknowledged)
            self._commits_when_full = self._file.commits
            # There may be room for a smaller batch.
            self.pending.take_less()
            if moved_on:
                # The log was emptied, so try again at once.
                with self.changed:
                    self._urgent_since = float("-inf")
                return
        with self.changed:
            self._set_error(error)
            self._retry_at = self._urgent_since = time.monotonic() + _RETRY_S
            self.changed.notify_all()
        self._on_change()

    def _make_room(self, acknowledged: list[int]) -> None:
        """Copy the log into the file and delete delivered messages, using the reserve."""
        self._reserve.release()
        try:
            self._file.checkpoint()
            for start in range(0, len(acknowledged), _DELETED_AT_ONCE):
                part = acknowledged[start : start + _DELETED_AT_ONCE]
                with self.changed:
                    counters = self.ledger.counters_after_removing(part)
                self._file.write(Change(removed=part), counters)
                self._file.checkpoint()
                with self.changed:
                    self.ledger.forget_acknowledged(part)
            self._reserve.make()
        except (sqlite3.Error, EdgeAgentError) as error:
            # Retried every second; the state itself is logged once.
            log.debug("there is not even room to delete what was delivered: %s", error)

    def _replace_file(self, cause: SpoolCorrupt | SpoolMissing) -> None:
        """Continue with a new file, with the content of the old one and then what waits in memory."""
        try:
            with self.changed:
                self._keep_folder()
                saved = self._salvage = self._salvage or self._salvage_file(cause)
                leaving = self.ledger.leaving()
                saved.remove_settled(leaving.acknowledged, leaving.quarantined)
                saved.counters = self.ledger.counters_now()
                saved.state_entries = dict(self.state_entries)
                self._take_up(replace(self._path, saved, self._limits.max_bytes), saved)
                self._write_soon()
                self.changed.notify_all()
        except EdgeAgentError as error:
            with self.changed:
                self._damage = cause
            if isinstance(cause, SpoolMissing) and not isinstance(error, DiskFull):
                error = SpoolMissing(
                    f"{cause.message} It cannot be created again: {error.message}", remedy=error.remedy
                )
            self._fail(error, [])
        else:
            self._on_change()

    def _salvage_file(self, cause: SpoolCorrupt | SpoolMissing) -> Salvage:
        """Close the file, and read what can be read from it. Raises ``SpoolError``, ``DiskFull``."""
        self._past_commits += self._file.commits
        self._past_checkpoints += self._file.checkpoints
        self._file.commits = self._file.checkpoints = 0
        if isinstance(cause, SpoolCorrupt):
            self._file_is_open = False
            self._file.close()
            return salvage_closed(self._path, cause)
        log.error("%s", cause)
        # The file has lost its name, but can be read while it is open.
        found = self._file.salvage(self.ledger.last_number) if self._file_is_open else ([], [])
        self._file_is_open = False
        self._file.close()
        saved = Salvage(cause, quarantine_replacement(self._path))
        saved.add_rows(*found)
        return saved

    def _take_up(self, opened: Opened, saved: Salvage) -> None:
        was_backlog = sum(row.number <= self.ledger.backlog_until for row in saved.rows)
        backlog_until = opened.numbers[was_backlog - 1] if was_backlog else 0
        successor = self._make_ledger(opened, backlog_until)
        self.ledger.hand_over(saved.rows, opened.numbers, successor)
        self.ledger, self._file, self._file_is_open, self._salvage = successor, opened.file, True, None

    def _set_error(self, error: EdgeAgentError | None) -> None:
        before, self.error = self.error, error
        if error is not None and (before is None or before.code != error.code):
            log.error("%s", error)
        elif error is None and before is not None:
            log.info("the spool works again")
