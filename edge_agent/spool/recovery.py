"""Replaces a spool's file that cannot be used: renames it, and reads what can be read into a new one."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import EdgeAgentError, MessageDamaged, SpoolBusy, SpoolCorrupt, SpoolError, SpoolNewer
from edge_agent.spool.base import QuarantinedMessage, StateEntries, max_quarantined_bytes
from edge_agent.spool.file import MAX_NUMBER, Change, Contents, SpoolFile
from edge_agent.spool.place import explain_unusable, explain_unwritable, has_no_room, move_aside
from edge_agent.spool.reading import open_for_reading
from edge_agent.spool.reserve import Reserve
from edge_agent.spool.rows import (
    Counters,
    DamagedRow,
    QuarantinedRow,
    Row,
    read_counters,
    read_quarantine,
    read_rows,
    readable_entries,
)

log = logging.getLogger(__name__)

_SIBLINGS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A file that was renamed or deleted, and replaced."""

    path: Path | None
    """Its new path; None if it was deleted."""
    code: str
    reason: str
    salvaged_count: int
    """Number of messages that could be read and were taken over."""


@dataclass(slots=True)
class Salvage:
    """The content for a file that replaces another one."""

    cause: EdgeAgentError
    path: Path | None
    rows: list[Row] = field(default_factory=list)
    quarantined: list[QuarantinedRow] = field(default_factory=list)
    damaged: list[QuarantinedMessage] = field(default_factory=list)
    """Quarantined rows that were found damaged only now."""
    state_entries: StateEntries = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)

    def add_rows(self, found: Collection[Row | DamagedRow], quarantined: Collection[QuarantinedRow]) -> None:
        """Add rows; damaged ones go into the quarantine."""
        self.quarantined += quarantined
        for row in found:
            if isinstance(row, DamagedRow):
                self.quarantined.append((*row.values, MessageDamaged.code, row.reason))
                self.damaged.append(QuarantinedMessage(None, row.topic, MessageDamaged.code, row.reason))
            else:
                self.rows.append(row)

    def remove_settled(self, acknowledged: Collection[int], quarantined: Mapping[int, tuple[str, str]]) -> None:
        """Remove acknowledged messages, and move quarantined ones, whose rows were still in the file."""
        self.rows = [row for row in self.rows if row.number not in acknowledged]
        self.quarantined += [
            (row.message.id.bytes, row.message.topic, row.message.payload, row.accepted_s, *quarantined[row.number])
            for row in self.rows
            if row.number in quarantined
        ]
        self.rows = [row for row in self.rows if row.number not in quarantined]


@dataclass(frozen=True, slots=True)
class Opened:
    """A usable spool file."""

    file: SpoolFile
    contents: Contents
    replaced: QuarantinedFile | None = None
    numbers: Sequence[int] = ()
    """Numbers of the salvaged rows in the new file."""
    damaged: Sequence[QuarantinedMessage] = ()
    """Damaged messages to be reported."""


def open_spool(path: Path, reserve: Reserve, max_bytes: int) -> Opened:
    """Open the file, or rename and replace it if it cannot be used.

    Raises ``SpoolBusy`` if another program has locked it; ``SpoolError`` or ``DiskFull`` if neither can be done.
    """
    try:
        _clear_siblings(path)
        file = _open_in_reserve(path, reserve)
    except SpoolBusy:
        raise
    except OSError as error:
        raise explain_unusable(path.parent, error) from error
    except SpoolError as error:
        if has_no_room(path.parent):
            if not isinstance(error, SpoolCorrupt | SpoolNewer):
                raise explain_unwritable(path, error.message) from error
            reserve.release()
        return replace(path, salvage_closed(path, error), max_bytes)
    try:
        contents = file.contents()
        if contents.stored_count and not 0 < contents.first_number <= contents.last_number < MAX_NUMBER:
            raise SpoolCorrupt(f"{path} is damaged: a message has the number {contents.last_number}.")  # noqa: TRY301
    except (sqlite3.Error, SpoolCorrupt) as error:
        file.close()
        cause = error if isinstance(error, SpoolCorrupt) else SpoolCorrupt(f"{path} is damaged: {error}.")
        return replace(path, salvage_closed(path, cause), max_bytes)
    _reconcile(contents.counters, contents.stored_count, contents.quarantined_count)
    return Opened(file, contents)


def salvage_closed(path: Path, cause: EdgeAgentError) -> Salvage:
    """Rename a file that is not open, and read what can be read from it. Raises ``SpoolError``, ``DiskFull``."""
    log.error("%s", cause)
    try:
        aside = quarantine_file(path, "newer" if isinstance(cause, SpoolNewer) else "corrupt")
    except OSError as error:
        raise explain_unusable(path.parent, error) from error
    saved = Salvage(cause, aside)
    with contextlib.suppress(SpoolError), open_for_reading(aside, log_needed=False) as old:
        saved.add_rows(sorted(read_rows(old), key=lambda row: row.number), list(read_quarantine(old)))
        with contextlib.suppress(sqlite3.DatabaseError):
            saved.state_entries = readable_entries(old.execute("SELECT key, value FROM notes ORDER BY number"))
        with contextlib.suppress(sqlite3.DatabaseError):
            saved.counters = read_counters(old)
    return saved


def replace(path: Path, saved: Salvage, max_bytes: int) -> Opened:
    """Create a new file with the salvaged content. Raises ``SpoolError``, ``DiskFull``; then it can be tried again."""
    counters = copy(saved.counters)
    _reconcile(counters, len(saved.rows), len(saved.quarantined))
    change = Change(
        [(row.message, row.accepted_s) for row in saved.rows],
        salvaged=saved.quarantined,
        max_quarantined_bytes=max_quarantined_bytes(max_bytes),
        state_entries=saved.state_entries,
    )
    try:
        _clear_siblings(path)
        file = SpoolFile(path)
    except OSError as error:
        raise explain_unusable(path.parent, error) from error
    except SpoolError as error:
        raise explain_unwritable(path, error.message) from error
    try:
        written = file.write(change, counters)
        contents = file.contents()
    except sqlite3.Error as error:
        file.close()
        raise explain_unwritable(path, str(error)) from error
    replaced = QuarantinedFile(saved.path, saved.cause.code, saved.cause.message, len(saved.rows))
    return Opened(file, contents, replaced, written.numbers, saved.damaged)


def quarantine_replacement(path: Path) -> Path | None:
    """Rename whatever took the place of a deleted file, and return the new name. Raises ``SpoolError``."""
    try:
        return quarantine_file(path, "corrupt") if os.path.lexists(path) else None
    except OSError as error:
        raise explain_unusable(path.parent, error) from error


def quarantine_file(path: Path, word: str) -> Path:
    """Rename the file and its log, and return the new name. Raises ``OSError``."""
    aside = move_aside(path, word)
    log_file = path.with_name(path.name + "-wal")
    if os.path.lexists(log_file):
        log_file.rename(aside.with_name(aside.name + "-wal"))
    # The index of the log, which SQLite creates again.
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    return aside


def _clear_siblings(path: Path) -> None:
    """Rename things beside the file that have names used by SQLite and are not files. Raises ``OSError``."""
    for suffix in _SIBLINGS:
        sibling = path.with_name(path.name + suffix)
        if os.path.lexists(sibling) and not sibling.is_file():
            log.error("%s is not a file; it was renamed to %s", sibling, move_aside(sibling).name)


def _open_in_reserve(path: Path, reserve: Reserve) -> SpoolFile:
    """Open the file; on a full disk, use the reserve, because SQLite has to create an index of the log first."""
    if os.path.lexists(path) and not path.is_file():
        raise SpoolCorrupt(f"{path} is not a file.")
    try:
        return SpoolFile(path)
    except (SpoolBusy, SpoolCorrupt, SpoolNewer):
        raise
    except SpoolError:
        if not has_no_room(path.parent) or not reserve.release():
            raise
        log.warning("the disk is full; the spool's reserve was released to open it")
        return SpoolFile(path)


def _reconcile(counters: Counters, stored_count: int, quarantined_count: int) -> None:
    """Make the counters agree with the file: missing messages count as dropped."""
    found = stored_count + quarantined_count
    held = counters.accepted - counters.acknowledged - counters.dropped
    counters.accepted += max(0, found - held)
    counters.dropped += max(0, held - found)
    counters.quarantined = quarantined_count
