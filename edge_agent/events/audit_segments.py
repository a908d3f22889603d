"""The files of an audit log: the current one, older ones, and damaged ones.

``audit.log`` is the current one. Once it is full it becomes ``audit.0000002047.log``, with the number of its last
entry. A file that is damaged or not an audit log becomes ``audit.corrupt-TIME.log``.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.contracts import AuditPosition
from edge_agent.errors import AuditBroken
from edge_agent.events.audit_entry import BEGINNING, MAX_LINE_BYTES, AuditEntry, is_torn_line

FILE = "audit.log"

_COUNTED_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Segment:
    """An older file of the log."""

    path: Path
    last_seq: int
    """Number of its last entry, from its name."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a file of the log."""

    position: AuditPosition | None
    """Position of the last complete line; None if there is none."""
    whole_bytes: int
    """Size up to the end of the last complete line; the rest is incomplete."""


def older_segments(log: Path) -> list[Segment]:
    """The older files of the log at ``log``, oldest first. Raises ``OSError``."""
    pattern = re.compile(rf"{re.escape(log.stem)}\.([0-9]{{10,}}){re.escape(log.suffix)}")
    found = ((path, pattern.fullmatch(path.name)) for path in log.parent.iterdir())
    segments = [Segment(path, int(match[1])) for path, match in found if match is not None]
    return sorted(segments, key=lambda segment: segment.last_seq)


def segment_path(log: Path, last_seq: int) -> Path:
    """The path of a full file of the log that ends with the entry ``last_seq``."""
    return log.with_name(f"{log.stem}.{last_seq:010d}{log.suffix}")


def is_older_segment(path: Path) -> bool:
    """Whether ``path`` has the name of an older file of a log."""
    return re.fullmatch(r".+\.[0-9]{10,}", path.stem) is not None


def is_set_aside(path: Path) -> bool:
    """Whether ``path`` has the name of a renamed damaged file."""
    return ".corrupt-" in path.name


def set_aside_paths(log: Path) -> list[Path]:
    """The renamed damaged files of the log at ``log``, oldest first; empty if the folder cannot be listed."""
    beginning, end = f"{log.stem}.corrupt-", log.suffix
    try:
        paths = sorted(log.parent.iterdir())
    except OSError:
        return []
    return [path for path in paths if path.name.startswith(beginning) and path.suffix == end]


def set_aside(log: Path, damaged: Path) -> Path:
    """Rename ``damaged``, the log's file or an older one, and return the new path. Raises ``OSError``."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    number = 0
    while os.path.lexists(target := log.with_name(f"{log.stem}.corrupt-{stamp}-{number}{log.suffix}")):
        number += 1
    damaged.rename(target)
    sync_folder(log.parent)
    return target


def open_regular(path: Path, flags: int) -> int:
    """Open without blocking, and return the descriptor.

    Raises ``AuditBroken`` if it is not a regular file, ``OSError``.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise AuditBroken(f"{path} is not a regular file.")
    return descriptor


def read_tail(descriptor: int, path: Path) -> Tail:
    """Read the last two lines, however long the file is; ``path`` is for messages.

    Raises ``AuditBroken`` if the file does not end as an audit log ends, ``OSError``.
    """
    size = os.fstat(descriptor).st_size
    start = max(0, size - 3 * MAX_LINE_BYTES)
    *lines, rest = os.pread(descriptor, size - start, start).split(b"\n")
    if start > 0:
        # The first one is incomplete.
        lines = lines[1:]
    if not is_torn_line(rest):
        raise AuditBroken(f"{path} ends with something that is not a line of an audit log.")
    if not lines and start == 0:
        return Tail(None, 0)
    if start > 0 and len(lines) < 2:
        raise AuditBroken(f"The last lines of {path} are too long for an audit log.")
    try:
        last = AuditEntry.parse(lines[-1])
        before = AuditEntry.parse(lines[-2]).sha256 if len(lines) > 1 else last.previous or BEGINNING
    except ValueError as error:
        raise AuditBroken(f"The last lines of {path} are not lines of an audit log.") from error
    if not last.follows(before):
        raise AuditBroken(f"The last line of {path} does not follow from the line before.")
    seq = _count_lines(descriptor) - 1 if last.seq is None else last.seq
    return Tail(AuditPosition(seq=seq, sha256=last.sha256), size - len(rest))


def sync_folder(folder: Path) -> None:
    """Make names in ``folder`` durable, if its file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _count_lines(descriptor: int) -> int:
    """Count the lines of a log of release 0.1, which have no numbers."""
    count, place = 0, 0
    while chunk := os.pread(descriptor, _COUNTED_BYTES, place):
        count += chunk.count(b"\n")
        place += len(chunk)
    return count
