"""The folder of the durable spool: whose it is, and the room that is kept in it for bad times."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
from pathlib import Path
from typing import IO

from edge_agent.errors import SpoolBusy, SpoolError

log = logging.getLogger(__name__)

FILE = "spool.db"
_LOCK = "spool.lock"
_RESERVE = "spool.reserve"
_RESERVE_BYTES = 2 * 1024 * 1024
"""Given up on a full disk, so that the log can be copied into the file and what was delivered be deleted.

More than the log ever holds. Nothing is accepted while it is missing: a log that fills the disk could neither be
copied nor emptied.
"""

_NO_ROOM_BYTES = 64 * 1024


def lock_folder(folder: Path) -> IO[bytes]:
    """Make ``folder`` if needed and take it; the lock ends with the process, or when what is returned is closed.

    Raises ``SpoolBusy`` if another process has it, ``SpoolError`` if it cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        file = (folder / _LOCK).open("ab")
    except OSError as error:
        raise SpoolError(f"{folder} cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno not in {errno.EAGAIN, errno.EACCES}:
            raise SpoolError(f"{folder} cannot be locked: {error.strerror}.") from error
        raise SpoolBusy(f"Another agent works with the spool in {folder}.") from error
    return file


def no_room(folder: Path) -> bool:
    """Whether the disk is as good as full."""
    return shutil.disk_usage(folder).free < _NO_ROOM_BYTES


class Reserve:
    """A file that only takes room, until the room is needed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _RESERVE

    def make(self) -> bool:
        """Take the room, if it is not taken yet. False if there is not so much."""
        if self._path.exists():
            return True
        try:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError as error:
            self._path.unlink(missing_ok=True)
            log.debug("no room for the spool's reserve: %s", error.strerror)
            return False
        return True

    def release(self) -> bool:
        """Give the room up. False if it was not taken."""
        if not self._path.exists():
            return False
        self._path.unlink()
        return True
