"""Verifies an audit log across all of its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from edge_agent.contracts import AuditPosition, EventKind
from edge_agent.errors import AuditBroken, AuditUnwritable
from edge_agent.events.audit_entry import BEGINNING, MAX_LINE_BYTES, AuditEntry
from edge_agent.events.audit_segments import (
    Segment,
    is_older_segment,
    is_set_aside,
    older_segments,
    open_regular,
    set_aside_paths,
)

_ATTEMPTS = 3
_UNREADABLE = (
    "Check the path, and that you may read the file: only root and the service's user may read the service's log."
)


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """The extent of a verified log."""

    files: tuple[Path, ...]
    """The log's files, oldest first."""
    entries_count: int
    oldest: AuditPosition | None
    """The first entry that is kept; earlier ones were deleted to make room. None for an empty log."""
    oldest_at: str | None
    """Time of the oldest entry: RFC 3339, UTC."""
    last: AuditPosition | None
    set_aside: tuple[Path, ...]
    """Renamed damaged files beside the log. They are not part of it."""


def verify_audit(path: Path) -> AuditSummary:
    """Check the whole chain of the log whose newest file is ``path``; the agent may be writing it.

    An older file of a log, or a renamed damaged one, is checked by itself. Raises ``AuditBroken`` with file and line,
    ``AuditUnwritable`` if a file cannot be read.
    """
    for _ in range(_ATTEMPTS - 1):
        # The agent may be writing a line, starting a new file or deleting an old one at that moment.
        with suppress(AuditBroken):
            return _verify(path)
    return _verify(path)


def _verify(path: Path) -> AuditSummary:
    by_itself = is_older_segment(path) or is_set_aside(path)
    with ExitStack() as stack:
        files = _open_all(path, stack, by_itself=by_itself)
        check = _Check()
        for name, last_seq, file in files:
            check.read(name, file)
            if last_seq is not None and (check.last is None or check.last.seq != last_seq):
                raise AuditBroken(f"{name} does not end with the entry {last_seq}, as its name says.")
    if not by_itself:
        check.check_beginning(path)
    return AuditSummary(
        files=tuple(name for name, _, _ in files),
        entries_count=check.entries_count,
        oldest=check.oldest,
        oldest_at=check.oldest_at,
        last=check.last,
        set_aside=() if by_itself else tuple(set_aside_paths(path)),
    )


@dataclass(slots=True)
class _Check:
    """The state of the check: the chain so far."""

    last: AuditPosition | None = None
    oldest: AuditPosition | None = None
    oldest_at: str | None = None
    entries_count: int = 0
    _anchor: str = BEGINNING
    """The hash that the oldest entry follows."""
    _deleted: set[tuple[object, object]] = field(default_factory=set)
    """Last positions of deleted files, from the entries about them."""

    def read(self, name: Path, file: BinaryIO) -> None:
        """Continue with another file. Raises ``AuditBroken``."""
        for number, line in enumerate(_lines(name, file), start=1):
            try:
                entry = AuditEntry.parse(line)
            except ValueError as error:
                raise AuditBroken(f"{name}: line {number} is not a line of an audit log.") from error
            self._add(entry, f"{name}: line {number}", first_of_file=number == 1)

    def check_beginning(self, path: Path) -> None:
        """Raises ``AuditBroken`` if older entries are gone and no entry says that they were deleted to make room."""
        if self.oldest is None or self.oldest.seq == 0:
            return
        before = self.oldest.seq - 1
        if not self._deleted & {(before, self._anchor), (before, None)}:
            raise AuditBroken(f"{path}: the entries up to {before} are missing, and no entry says why.")

    def _add(self, entry: AuditEntry, place: str, *, first_of_file: bool) -> None:
        if self.last is None:
            before = entry.previous or BEGINNING
            seq = entry.seq or 0
            self._anchor = before
        else:
            before, seq = self.last.sha256, self.last.seq + 1
        if not entry.follows(before) or (first_of_file and entry.previous not in {None, before}):
            raise AuditBroken(f"{place} does not follow from the line before.")
        if entry.seq not in {None, seq} or (seq == 0 and before != BEGINNING):
            raise AuditBroken(f"{place} has the number {entry.seq}; it should have {seq}.")
        self.last = AuditPosition(seq=seq, sha256=entry.sha256)
        self.entries_count += 1
        if self.oldest is None:
            at = entry.values.get("at")
            self.oldest, self.oldest_at = self.last, at if isinstance(at, str) else None
        details = entry.values.get("details")
        if entry.values.get("kind") == EventKind.AUDIT_TRIMMED and isinstance(details, dict):
            self._deleted.add((details.get("through_seq"), details.get("through_sha256")))


def _open_all(path: Path, stack: ExitStack, *, by_itself: bool) -> list[tuple[Path, int | None, BinaryIO]]:
    """The log's files, oldest first, and the numbers that older ones have in their names.

    The newest file is opened first: if the agent starts a new one meanwhile, it appears again among the older ones.
    """
    newest = _open(path, stack)
    try:
        segments = [] if by_itself else older_segments(path)
    except OSError:
        segments = []
    files: list[tuple[Path, int | None, BinaryIO]] = []
    for segment in segments:
        file = _open_older(segment, stack)
        if newest is None or not os.path.sameopenfile(file.fileno(), newest.fileno()):
            files.append((segment.path, segment.last_seq, file))
    if newest is not None:
        files.append((path, None, newest))
    if not files:
        raise AuditUnwritable(f"{path} cannot be read: there is no such file.", remedy=_UNREADABLE)
    return files


def _open_older(segment: Segment, stack: ExitStack) -> BinaryIO:
    file = _open(segment.path, stack)
    if file is None:
        raise AuditBroken(f"{segment.path} was deleted while the log was read.")
    return file


def _open(path: Path, stack: ExitStack) -> BinaryIO | None:
    """Open a file; None if there is no such file."""
    try:
        return stack.enter_context(os.fdopen(open_regular(path, os.O_RDONLY), "rb"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AuditUnwritable(f"{path} cannot be read: {error.strerror}.", remedy=_UNREADABLE) from error


def _lines(name: Path, file: BinaryIO) -> Iterator[bytes]:
    """The lines without their newlines. Raises ``AuditBroken``, ``AuditUnwritable``."""
    number = 0
    while True:
        number += 1
        try:
            line = file.readline(MAX_LINE_BYTES)
        except OSError as error:
            raise AuditUnwritable(f"{name} cannot be read: {error.strerror}.", remedy=_UNREADABLE) from error
        if not line:
            return
        if line.endswith(b"\n"):
            yield line[:-1]
        elif len(line) < MAX_LINE_BYTES:
            raise AuditBroken(
                f"{name}: line {number} is incomplete.",
                remedy="A power cut does this; the agent cuts the line off when it starts.",
            )
        else:
            raise AuditBroken(f"{name}: line {number} is too long for a line of an audit log.")
