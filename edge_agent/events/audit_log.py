"""The audit log: what happened to the device, one line each, chained by hashes so that a change shows.

A line is a SHA-256 in hex, a space, and JSON. The hash is of the line before's hash, a space, and this line's JSON; the
first line follows sixty-four zeros. Whoever also has the events that went to the broker, which carry these hashes, can
tell a log that was written anew from one that was not.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from io import FileIO
from pathlib import Path

from edge_agent.contracts import AuditPosition
from edge_agent.errors import AuditBroken, AuditUnwritable

log = logging.getLogger(__name__)

FILE = "audit.log"
_BEGINNING = "0" * 64


class AuditLog:
    """Appends to one file. Each line is on the medium when ``append`` returns."""

    def __init__(self, path: Path) -> None:
        """Go on with the log at ``path``, made if needed. Raises ``AuditUnwritable``, ``AuditBroken``.

        A last line that a power cut left unfinished is cut off; ``repaired`` says so.
        """
        self._path = path
        self.repaired = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            # Unbuffered: what did not get to the disk must not come after what does later.
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise AuditUnwritable(f"{path} cannot be written: {error.strerror}.") from error
        try:
            self._next_seq, self._hash = self._go_on()
        except AuditBroken:
            self._file.close()
            raise

    def append(self, record: bytes) -> AuditPosition:
        """Append a JSON object on one line; where it stands now. Raises ``AuditUnwritable``."""
        digest = _chain(self._hash, record)
        line = f"{digest} ".encode() + record + b"\n"
        end = self._path.stat().st_size if self._path.exists() else 0
        try:
            _write_whole(self._file, line)
        except OSError as error:
            # No half line may stand in front of the next one; cutting off works on a full disk too.
            os.truncate(self._path, end)
            raise AuditUnwritable(f"{self._path} cannot be written: {error.strerror}.") from error
        position = AuditPosition(seq=self._next_seq, sha256=digest)
        self._next_seq, self._hash = self._next_seq + 1, digest
        return position

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _go_on(self) -> tuple[int, str]:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            log.warning("the last line of %s was not finished and is cut off", self._path)
            os.truncate(self._path, whole)
            self.repaired = True
        lines = content[:whole].splitlines()
        if not lines:
            return 0, _BEGINNING
        last = lines[-1][:64].decode("ascii", "replace")
        before = lines[-2][:64].decode("ascii", "replace") if len(lines) > 1 else _BEGINNING
        if _chain(before, lines[-1][65:]) != last:
            raise AuditBroken(f"{self._path}: line {len(lines)} does not follow from the line before.")
        return len(lines), last


def verify_audit(path: Path) -> AuditPosition | None:
    """Check the whole chain; the position of the last line, None of an empty log.

    Raises ``AuditBroken`` with the line, ``AuditUnwritable`` if the file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise AuditUnwritable(f"{path} cannot be read: {error.strerror}.") from error
    if lines.pop():
        raise AuditBroken(f"{path}: line {len(lines) + 1} is not finished.")
    digest = _BEGINNING
    for number, line in enumerate(lines, start=1):
        stored, _, record = line.partition(b" ")
        digest = _chain(digest, record)
        if stored != digest.encode():
            raise AuditBroken(f"{path}: line {number} does not follow from the line before.")
    return AuditPosition(seq=len(lines) - 1, sha256=digest) if lines else None


def _write_whole(file: FileIO, line: bytes) -> None:
    """Write and sync. Raises ``OSError``, also where there was room for a part only."""
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def _chain(before: str, record: bytes) -> str:
    return hashlib.sha256(f"{before} ".encode() + record).hexdigest()
