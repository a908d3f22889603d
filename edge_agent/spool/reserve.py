"""Room on the disk that is kept for when the disk is full."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from edge_agent.spool.place import explain_unusable, move_aside

log = logging.getLogger(__name__)

_RESERVE = "spool.reserve"
_RESERVE_BYTES = 2 * 1024 * 1024
"""Given up on a full disk, so that the log can be copied into the file and what was delivered be deleted.

More than the log ever holds. Nothing is accepted while it is missing: a log that fills the disk could neither be
copied nor emptied.
"""


class Reserve:
    """A file that only takes room, until the room is needed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _RESERVE

    def make(self) -> None:
        """Take the room, if it is not taken yet. Raises ``DiskFull``, or ``SpoolError`` if there is another cause."""
        try:
            if self._path.is_file() and self._path.stat().st_size >= _RESERVE_BYTES:
                return
            if os.path.lexists(self._path) and not self._path.is_file():
                move_aside(self._path)
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError as error:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            log.debug("no room for the spool's reserve: %s", error.strerror)
            raise explain_unusable(self._path.parent, error) from error

    def release(self) -> bool:
        """Give the room up. False if it was not taken."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
