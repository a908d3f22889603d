"""The lock that reserves a folder for one agent."""

from __future__ import annotations

import fcntl
import os
from errno import EACCES, EAGAIN
from pathlib import Path
from typing import Self

from edge_agent.errors import SpoolBusy, SpoolError
from edge_agent.spool.place import Place, explain_unusable, move_aside

_LOCK = "spool.lock"


class FolderLock:
    """Held until ``close``, or the end of the process."""

    def __init__(self, folder: Path) -> None:
        """Create ``folder`` if needed and lock it.

        Raises ``SpoolBusy`` if another process has it, ``SpoolError`` if it cannot be used.
        """
        path = folder / _LOCK
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._descriptor = _open(path)
        except OSError as error:
            raise explain_unusable(folder, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.place = Place(path)
        except OSError as error:
            os.close(self._descriptor)
            if error.errno not in {EAGAIN, EACCES}:
                raise SpoolError(f"{folder} cannot be locked: {error.strerror}.") from error
            raise SpoolBusy(f"Another agent uses the spool in {folder}.") from error

    def close(self) -> None:
        """Release the folder. Calling it again has no effect."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(path: Path) -> int:
    """Open the lock file. Something there that is not a file is renamed. Raises ``OSError``."""
    if os.path.lexists(path) and not path.is_file():
        move_aside(path)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except PermissionError:
        # A file of another user can be locked if it can be read.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
