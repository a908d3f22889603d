"""The received part of an archive, as a file that survives a power cut."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ValidationError

from edge_agent.errors import DiskFull, FileUnusable

SYNC_BYTES = 4 * 2**20
"""Bytes that may have to be fetched again after a power cut."""

_READ_BYTES = 256 * 1024
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _About(BaseModel):
    """Where the file comes from, and what its server said about it."""

    source: str
    validator: str | None = None


class Partial:
    """The file, with its origin beside it. Raises errors of the disk as ``DiskFull`` or ``FileUnusable``."""

    def __init__(self, folder: Path, sha256: str, source: str) -> None:
        """Continue the existing part of this archive from this address. Everything else in ``folder`` is deleted."""
        self.path = folder / f"{sha256}.part"
        self.validator: str | None = None
        """The server's validator, by which it knows whether its file is still the same."""
        self.size = 0
        self._sha256 = sha256
        self._source = source
        self._about = folder / f"{sha256}.json"
        self._file: BinaryIO | None = None
        self._unsynced_bytes = 0
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            about = self._read_about()
            if about is not None and about.source == source and self.path.is_file():
                self.validator = about.validator
                self.size = self.path.stat().st_size
            for path in folder.iterdir():
                if not (self.size and path in {self.path, self._about}):
                    path.unlink()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Write to the file inside the block; after it, everything written is on the disk."""
        with explained(self.path.parent):
            self._file = self.path.open("ab")
            if not self.size:
                self._file.truncate(0)
        try:
            yield
            with explained(self.path.parent):
                self._sync(self._file)
        finally:
            file, self._file = self._file, None
            # Anything that could not be written is missing, which the hash will show.
            with contextlib.suppress(OSError):
                file.close()

    def restart(self, validator: str | None) -> None:
        """Begin again, with a file that has this validator."""
        with explained(self.path.parent):
            self._opened.truncate(0)
            self.size, self.validator = 0, validator
            self._about.write_text(_About(source=self._source, validator=validator).model_dump_json())

    def write(self, chunk: bytes) -> None:
        """Append received bytes."""
        file = self._opened
        with explained(self.path.parent):
            file.write(chunk)
            file.flush()
            self.size += len(chunk)
            self._unsynced_bytes += len(chunk)
            if self._unsynced_bytes >= SYNC_BYTES:
                self._sync(file)

    def is_whole(self, check: Callable[[], None]) -> bool:
        """Whether the file has the expected hash. ``check`` is called now and then, and may raise."""
        digest = hashlib.sha256()
        with explained(self.path.parent), self.path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                check()
                digest.update(chunk)
        return digest.hexdigest() == self._sha256

    def delete(self) -> None:
        """Delete the file to free its space."""
        with explained(self.path.parent):
            self.path.unlink(missing_ok=True)
            self._about.unlink(missing_ok=True)
        self.size, self.validator = 0, None

    @property
    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("it is written only while it is open")
        return self._file

    def _sync(self, file: BinaryIO) -> None:
        file.flush()
        os.fsync(file.fileno())
        self._unsynced_bytes = 0

    def _read_about(self) -> _About | None:
        try:
            return _About.model_validate_json(self._about.read_bytes())
        except (OSError, ValidationError):
            return None


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an ``OSError`` inside the block into ``DiskFull`` or ``FileUnusable``."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull(f"{folder} has no room: {error.strerror}.") from error
        raise FileUnusable(f"{folder} cannot be used: {error.strerror}.") from error
