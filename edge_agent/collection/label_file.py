"""The file of labels, one entry per line, to which entries are only appended."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge_agent.atomic_file import own_as_folder, sync_folder
from edge_agent.collection.answers import AnswerBook
from edge_agent.collection.label_entry import LabelEntry, parse_entry
from edge_agent.errors import CollectionError, CollectionFull, DiskFull

log = logging.getLogger(__name__)

FILE = "labels.jsonl"
MAX_BYTES = 64 * 2**20
"""Some 250,000 labels: more than people give, but a bound in case something else fills the disk through this file."""


class LabelFile:
    """The labels of one collection. Any thread may use it, and another process may append at the same time.

    ``append`` returns once the entries are on the disk. A line that a power cut left incomplete is ended, so that the
    next line is separate; lines that cannot be read are counted and stay.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        """Nothing is read or written yet."""
        self.path = folder / FILE
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self._book = AnswerBook()
        self._offset = 0
        self._identity: tuple[int, int] | None = None
        self._unreadable_count = 0

    @property
    def unreadable_count(self) -> int:
        """Lines that are not entries."""
        with self._lock:
            return self._unreadable_count

    def read(self) -> AnswerBook:
        """All entries, including those that another process has appended. Raises ``CollectionError``."""
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    self._read_on(file.fileno())
            except FileNotFoundError:
                # Not written yet, or deleted with the collection.
                self._forget()
            except OSError as error:
                raise _unusable(self.path, error) from error
            return self._book

    def repair(self) -> None:
        """End a line that was left incomplete. Raises as ``append`` does."""
        if self.path.exists():
            self.append(lambda _book: ())

    def delete(self) -> None:
        """Delete all labels. Raises ``CollectionError``."""
        with self._lock:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                raise _unusable(self.path, error) from error
            self._forget()

    def append(self, make: Callable[[AnswerBook], Sequence[LabelEntry]]) -> Sequence[LabelEntry]:
        """Append what ``make`` returns for the entries so far. No other entry comes between.

        Raises ``DiskFull``, ``CollectionFull`` or ``CollectionError``; nothing counts then.
        """
        with self._lock:
            try:
                with self._open() as descriptor:
                    self._end_torn_line(descriptor)
                    self._read_on(descriptor)
                    entries = [each for each in make(self._book) if self._book.find(each.id) is None]
                    if entries:
                        self._write(descriptor, b"".join(each.to_json() + b"\n" for each in entries))
                        self._read_on(descriptor)
                    return entries
            except OSError as error:
                raise _unusable(self.path, error) from error

    @contextmanager
    def _open(self) -> Iterator[int]:
        """The file's descriptor, under a lock that other processes respect."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if is_new:
                # An import as root would lock the agent out for ever.
                own_as_folder(self.path)
                sync_folder(self.path.parent)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            # Releases the lock.
            os.close(descriptor)

    def _write(self, descriptor: int, lines: bytes) -> None:
        end = os.fstat(descriptor).st_size
        if end + len(lines) > self._max_bytes:
            raise CollectionFull(
                f"{self.path.name} has reached {self._max_bytes / 2**20:.0f} MiB.",
                remedy="Export the collection and delete it.",
            )
        try:
            _write_all(descriptor, lines)
            os.fsync(descriptor)
        except OSError:
            # The person who gave this label is told that it was not kept.
            os.ftruncate(descriptor, end)
            raise

    def _end_torn_line(self, descriptor: int) -> None:
        end = os.fstat(descriptor).st_size
        if end > 0 and os.pread(descriptor, 1, end - 1) != b"\n":
            os.write(descriptor, b"\n")
            log.warning("the last line of %s was incomplete and was ended", self.path)

    def _read_on(self, descriptor: int) -> None:
        """Read the whole lines from the place where reading last ended."""
        found = os.fstat(descriptor)
        if self._identity != (found.st_dev, found.st_ino) or found.st_size < self._offset:
            self._forget()
            self._identity = found.st_dev, found.st_ino
        content = b""
        while piece := os.pread(descriptor, 2**20, self._offset + len(content)):
            content += piece
        whole, _, _ = content.rpartition(b"\n")
        if not whole and not content.startswith(b"\n"):
            return
        self._offset += len(whole) + 1
        for line in whole.split(b"\n"):
            entry = parse_entry(line)
            if entry is not None:
                self._book.take(entry)
            elif line.strip():
                self._unreadable_count += 1
                log.warning("a line of %s cannot be read and is left as it is", self.path)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _unusable(path: Path, error: OSError) -> CollectionError | DiskFull:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"The disk of {path} is full.")
    return CollectionError(f"{path} cannot be used: {error.strerror or error}.")
