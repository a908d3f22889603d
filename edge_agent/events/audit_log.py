"""The audit log: what happened to the device, one line each, chained by hashes so that a change shows.

The events at the broker carry the same hashes, so that a log that was rewritten as a whole can be detected by comparing
the two. The log is bounded: full files are kept under names of their own, and the oldest is deleted once there are too
many; the chain runs through all of them.
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
"""A file is full once it has reached this: some four thousand events."""

SEGMENTS_MAX = 16
"""Older files that are kept: 32 MiB with the file in use, which is little beside the spool."""

SET_ASIDE_MAX = 8
"""Damaged files that are kept. A disk that damages a file at each start must not be filled by them."""

_NOT_A_LOG = frozenset({errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EACCES, errno.EPERM, errno.ETXTBSY})
"""Opening fails with these because of what lies there. Others, such as a full disk, pass."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A power cut had left the last line unfinished; it was cut off."""

    path: Path


@dataclass(frozen=True, slots=True)
class SetAside:
    """A damaged file, or something that is not an audit log, was given another name."""

    path: Path
    """Where it is now."""
    problem: str


class AuditLog:
    """Appends to the log. Each line is on the medium when ``append`` returns.

    One thread at a time. After an error the file is opened again by the next ``append``.
    """

    def __init__(self, path: Path, *, segment_bytes: int = SEGMENT_BYTES, segments_max: int = SEGMENTS_MAX) -> None:
        """The log whose newest file is ``path``; nothing is opened yet."""
        self._path = path
        self._segment_bytes = segment_bytes
        self._segments_max = segments_max
        self._descriptor: int | None = None
        self._size = 0
        self._last: AuditPosition | None = None
        self._attempted: AuditPosition | None = None
        """The line that was last tried: it may stand there although the disk reported an error."""
        self._incidents: list[Repaired | SetAside] = []

    def open(self) -> None:
        """Go on with what is there, made if needed. Raises ``AuditUnwritable``.

        Only the end of the newest file is read. What is damaged or not a log is set aside, and a line that a power
        cut left unfinished is cut off; ``pop_incidents`` returns both.
        """
        try:
            self._open()
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, values: Mapping[str, object]) -> AuditPosition:
        """Append an entry; where it stands now. Raises ``AuditUnwritable``.

        ``values`` can be written as JSON and has neither ``seq`` nor ``previous``.
        """
        try:
            return self._append(values)
        except OSError as error:
            self.close()
            raise self._unwritable(error) from error

    def pop_incidents(self) -> list[Repaired | SetAside]:
        """What was found damaged since this was last asked."""
        incidents, self._incidents = self._incidents, []
        return incidents

    @property
    def set_aside_paths(self) -> list[Path]:
        """Damaged files that still lie beside the log."""
        return set_aside_paths(self._path)

    def excess(self) -> list[tuple[Segment, AuditPosition | None]]:
        """Older files beyond those that are kept, oldest first, with their last entries as far as they can be read."""
        try:
            segments = older_segments(self._path)[: -self._segments_max or None]
        except OSError:
            return []
        return [(segment, self._end_of(segment)) for segment in segments]

    def delete(self, segment: Segment) -> None:
        """Delete an older file. One that cannot be deleted stays, and is ``excess`` again the next time."""
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be deleted: %s", segment.path, error.strerror)

    def close(self) -> None:
        """Let go of the file."""
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
            # No half line may stand in front of the next one; cutting off works on a full disk too. Where it does not
            # work, opening the file again cuts the line off.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self._size)
            raise
        self._size += len(line)

    def _is_as_left(self) -> bool:
        """Whether the file is open, still has its name, and nobody else has written to it."""
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
                raise OSError(errno.EBUSY, "something else is put there again and again") from again
        self._descriptor, self._size = descriptor, tail.whole_bytes
        if tail.position is not None:
            self._last = tail.position
        elif self._last is None:
            self._last = self._end_of_older()

    def _open_or_refuse(self) -> tuple[int, Tail]:
        """Raises ``AuditBroken`` if what is there has to be set aside, ``OSError``."""
        try:
            descriptor = open_regular(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        except OSError as error:
            if error.errno in _NOT_A_LOG:
                raise AuditBroken(f"{self._path} cannot be opened: {error.strerror}.") from error
            raise
        try:
            tail = read_tail(descriptor, self._path)
            self._hold_against_memory(tail)
            if os.fstat(descriptor).st_size != tail.whole_bytes:
                os.ftruncate(descriptor, tail.whole_bytes)
                log.warning("the last line of %s was not finished and was cut off", self._path)
                self._incidents.append(Repaired(self._path))
            # The name of a new file has to outlast a power cut as well.
            sync_folder(self._path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, tail

    def _hold_against_memory(self, tail: Tail) -> None:
        """Raises ``AuditBroken`` if this log has written other lines than the file ends with."""
        if tail.position is None or self._last is None:
            return
        if tail.position not in {self._last, self._attempted}:
            raise AuditBroken(f"{self._path} was changed while the agent was running.")

    def _rotate(self) -> None:
        """Begin a new file. Between any two of these steps the power may fail."""
        if self._last is None:
            return
        target = segment_path(self._path, self._last.seq)
        if os.path.lexists(target):
            self._set_aside(target, f"{target} is not a file that this log has written.")
        self._path.rename(target)
        self._open()

    def _end_of_older(self) -> AuditPosition | None:
        """Where the chain goes on if the file in use is new. Older files that are damaged are set aside."""
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
        log.error("%s It was set aside as %s.", problem, target.name)
        self._incidents.append(SetAside(target, problem))
        for old in self.set_aside_paths[:-SET_ASIDE_MAX]:
            with contextlib.suppress(OSError):
                old.unlink()

    def _opened(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor

    def _unwritable(self, error: OSError) -> AuditUnwritable:
        return AuditUnwritable(f"{self._path} cannot be written: {error.strerror or error}.")


def _write_whole(descriptor: int, line: bytes) -> None:
    """Write and sync. Raises ``OSError``, also where there was room for a part only."""
    if os.write(descriptor, line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(descriptor)
