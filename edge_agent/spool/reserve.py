"""Disk space that is reserved for when the disk is full."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from edge_agent.spool.place import explain_unusable, move_aside

log = logging.getLogger(__name__)

_RESERVE = "spool.reserve"
_RESERVE_BYTES = 2 * 1024 * 1024
"""Released on a full disk, so that the log can be copied into the file and delivered messages can be deleted.

Larger than the log ever is. Nothing is accepted without it: a log that fills the disk could be neither copied nor
emptied.
"""


class Reserve:
    """A file that reserves space until it is needed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _RESERVE

    def make(self) -> None:
        """Reserve the space, unless it is reserved already. Raises ``DiskFull``, or ``SpoolError`` for other causes."""
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
            log.debug("no space for the spool's reserve: %s", error.strerror)
            raise explain_unusable(self._path.parent, error) from error

    def release(self) -> bool:
        """Release the space. False if it was not reserved."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
