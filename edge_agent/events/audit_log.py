"""The audit log: one line per event of the device, chained by hashes so that changes show.

The events at the broker carry the same hashes, so that a log that was rewritten as a whole can be detected by comparing
the two. The log is bounded: full files are renamed, and the oldest is deleted once there are too many. The chain runs
through all of them.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent.contracts import AuditPosition
from edge_agent.errors import AuditBroken, AuditUnwritable
from edge_agent.events.audit_entry import BEGINNING, MAX_LINE_BYTES, AuditEntry
from edge_agent.events.audit_segments import (
    Segment,
    Tail,
    older_segments,
    open_regular,
    read_tail,
    segment_path,
    set_aside,
    set_aside_paths,
    sync_folder,
)

log = logging.getLogger(__name__)

SEGMENT_BYTES = 2 * 2**20
"""Size of a full file: some four thousand events."""

SEGMENTS_MAX = 16
"""Number of older files that are kept: 32 MiB, and the file in use, which is little compared with the spool."""

SET_ASIDE_MAX = 8
"""Number of damaged files that are kept, so that a disk that damages a file at each start is not filled by them."""

_NOT_A_LOG = frozenset({errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EACCES, errno.EPERM, errno.ETXTBSY})
"""Errors of opening that something else in the file's place causes. Others, such as a full disk, are temporary."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A power cut left the last line unfinished; it was cut off."""

    path: Path


@dataclass(frozen=True, slots=True)
class SetAside:
    """A damaged file, or something that is not an audit log, was renamed."""

    path: Path
    """Its new path."""
    problem: str


class AuditLog:
    """Appends to the log. A line is on the disk when ``append`` returns.

    One thread at a time. After an error the file is opened again by the next ``append``.
    """

    def __init__(self, path: Path, *, segment_bytes: int = SEGMENT_BYTES, segments_max: int = SEGMENTS_MAX) -> None:
        """Describe the log whose newest file is ``path``; nothing is opened yet."""
        self._path = path
        self._segment_bytes = segment_bytes
        self._segments_max = segments_max
        self._descriptor: int | None = None
        self._size = 0
        self._last: AuditPosition | None = None
        self._attempted: AuditPosition | None = None
        """The line of the last attempt: it may be in the file although the disk reported an error."""
        self._incidents: list[Repaired | SetAside] = []

    def open(self) -> None:
        """Open the log, creating it if needed. Raises ``AuditUnwritable``.

        Only the end of the newest file is read. A file that is damaged or not a log is renamed, and a line that a power
        cut left unfinished is cut off; ``pop_incidents`` returns both.
        """
        try:
            self._open()
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, values: Mapping[str, object]) -> AuditPosition:
        """Append an entry and return its position. Raises ``AuditUnwritable``.

        ``values`` must be representable in JSON, without ``seq`` and ``previous``.
        """
        try:
            return self._append(values)
        except OSError as error:
            self.close()
            raise self._unwritable(error) from error

    def pop_incidents(self) -> list[Repaired | SetAside]:
        """The damage found since the last call."""
        incidents, self._incidents = self._incidents, []
        return incidents

    @property
    def set_aside_paths(self) -> list[Path]:
        """Renamed damaged files that are still beside the log."""
        return set_aside_paths(self._path)

    def excess(self) -> list[tuple[Segment, AuditPosition | None]]:
        """Older files beyond the number that is kept, oldest first, with their last positions if they can be read."""
        try:
            segments = older_segments(self._path)[: -self._segments_max or None]
        except OSError:
            return []
        return [(segment, self._end_of(segment)) for segment in segments]

    def delete(self, segment: Segment) -> None:
        """Delete an older file. If that fails it stays, and is in ``excess`` again next time."""
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be deleted: %s", segment.path, error.strerror)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, values: Mapping[str, object]) -> AuditPosition:
        if not self._is_as_left():
            self._open()
        if self._size >= self._segment_bytes:
            self._rotate()
        seq, before = (0, BEGINNING) if self._last is None else (self._last.seq + 1, self._last.sha256)
        entry = AuditEntry.make(seq, before, values, first_of_file=self._size == 0)
        if len(entry.line) > MAX_LINE_BYTES:
            raise AuditUnwritable(f"An entry of {len(entry.line)} bytes is too long for {self._path}.")
        position = self._attempted = AuditPosition(seq=seq, sha256=entry.sha256)
        self._write(entry.line)
        self._last = position
        return position

    def _write(self, line: bytes) -> None:
        descriptor = self._opened()
        try:
            _write_whole(descriptor, line)
        except OSError:
            # The next line must not follow half a line; cutting it off works on a full disk too. If that fails, the
            # line is cut off when the file is opened again.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self._size)
            raise
        self._size += len(line)

    def _is_as_left(self) -> bool:
        """Whether the file is open, still has its name, and was not changed by anything else."""
        if self._descriptor is None:
            return False
        mine = os.fstat(self._descriptor)
        try:
            there = self._path.stat()
        except OSError:
            return False
        return (mine.st_dev, mine.st_ino, mine.st_size) == (there.st_dev, there.st_ino, self._size)

    def _open(self) -> None:
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        try:
            descriptor, tail = self._open_or_refuse()
        except AuditBroken as error:
            self._set_aside(self._path, error.message)
            try:
                descriptor, tail = self._open_or_refuse()
            except AuditBroken as again:
                raise OSError(errno.EBUSY, "something else keeps taking its place") from again
        self._descriptor, self._size = descriptor, tail.whole_bytes
        if tail.position is not None:
            self._last = tail.position
        elif self._last is None:
            self._last = self._end_of_older()

    def _open_or_refuse(self) -> tuple[int, Tail]:
        """Raises ``AuditBroken`` if the existing file has to be renamed, ``OSError``."""
        try:
            descriptor = open_regular(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        except OSError as error:
            if error.errno in _NOT_A_LOG:
                raise AuditBroken(f"{self._path} cannot be opened: {error.strerror}.") from error
            raise
        try:
            tail = read_tail(descriptor, self._path)
            self._check_last_line(tail)
            if os.fstat(descriptor).st_size != tail.whole_bytes:
                os.ftruncate(descriptor, tail.whole_bytes)
                log.warning("the last line of %s was incomplete and was cut off", self._path)
                self._incidents.append(Repaired(self._path))
            # The name of a new file has to survive a power cut too.
            sync_folder(self._path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, tail

    def _check_last_line(self, tail: Tail) -> None:
        """Raises ``AuditBroken`` if the file does not end with the line that this log wrote last."""
        if tail.position is None or self._last is None:
            return
        if tail.position not in {self._last, self._attempted}:
            raise AuditBroken(f"{self._path} was changed while the agent was running.")

    def _rotate(self) -> None:
        """Start a new file. The power may fail between any two of these steps."""
        if self._last is None:
            return
        target = segment_path(self._path, self._last.seq)
        if os.path.lexists(target):
            self._set_aside(target, f"{target} is not a file that this log has written.")
        self._path.rename(target)
        self._open()

    def _end_of_older(self) -> AuditPosition | None:
        """The position that a new file continues from. Damaged older files are renamed."""
        for segment in reversed(older_segments(self._path)):
            try:
                descriptor = open_regular(segment.path, os.O_RDONLY)
            except AuditBroken as error:
                self._set_aside(segment.path, error.message)
                continue
            except OSError as error:
                if error.errno not in _NOT_A_LOG:
                    raise
                self._set_aside(segment.path, f"{segment.path} cannot be opened: {error.strerror}.")
                continue
            try:
                position = read_tail(descriptor, segment.path).position
            except AuditBroken as error:
                self._set_aside(segment.path, error.message)
                continue
            finally:
                os.close(descriptor)
            if position is not None:
                return position
            self._set_aside(segment.path, f"{segment.path} is empty.")
        return None

    def _end_of(self, segment: Segment) -> AuditPosition | None:
        try:
            descriptor = open_regular(segment.path, os.O_RDONLY)
        except (AuditBroken, OSError):
            return None
        try:
            return read_tail(descriptor, segment.path).position
        except (AuditBroken, OSError):
            return None
        finally:
            os.close(descriptor)

    def _set_aside(self, path: Path, problem: str) -> None:
        target = set_aside(self._path, path)
        log.error("%s It was renamed to %s.", problem, target.name)
        self._incidents.append(SetAside(target, problem))
        # By their names, which have the time: not this one, also where the clock was set back.
        earlier = [each for each in self.set_aside_paths if each != target]
        for old in earlier[: max(0, len(earlier) + 1 - SET_ASIDE_MAX)]:
            with contextlib.suppress(OSError):
                old.unlink()

    def _opened(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor

    def _unwritable(self, error: OSError) -> AuditUnwritable:
        return AuditUnwritable(f"{self._path} cannot be written: {error.strerror or error}.")


def _write_whole(descriptor: int, line: bytes) -> None:
    """Write and sync. Raises ``OSError``, even if there was room for only a part."""
    if os.write(descriptor, line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(descriptor)
