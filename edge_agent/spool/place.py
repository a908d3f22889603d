"""Checks whether the spool's files are still in place, and explains why they cannot be used."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.errors import DiskFull, EdgeAgentError, SpoolError, SpoolMissing

FILE = "spool.db"
"""Name of the spool's file in its folder."""

_NO_ROOM_BYTES = 64 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Place:
    """An open file that has to stay under its name."""

    def __init__(self, path: Path) -> None:
        """Raises ``OSError`` if the file does not exist."""
        self._path = path
        self._identity = _identity(path)

    def check(self) -> None:
        """Raises ``SpoolMissing`` if the file was deleted or replaced, ``SpoolError`` if that cannot be determined."""
        try:
            found = _identity(self._path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SpoolMissing(f"{self._path} was deleted while the agent ran.") from error
        except OSError as error:
            raise explain_unusable(self._path.parent, error) from error
        if found != self._identity:
            raise SpoolMissing(f"{self._path} was replaced by another file while the agent ran.")


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def move_aside(path: Path, word: str = "aside") -> Path:
    """Rename whatever is at ``path`` to a name with the time, and return that name. Raises ``OSError``."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.stem}.{word}-{stamp}{path.suffix}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.stem}.{word}-{stamp}-{number}{path.suffix}")
    path.rename(aside)
    return aside


def has_no_room(folder: Path) -> bool:
    """Whether the disk is practically full. False if that cannot be determined, or the disk is read-only."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return not found.f_flag & os.ST_RDONLY and found.f_bavail * found.f_frsize < _NO_ROOM_BYTES


def explain_unusable(folder: Path, error: OSError) -> EdgeAgentError:
    """Why the state folder, or a file in it, cannot be used: ``DiskFull`` or ``SpoolError``."""
    if error.errno in _FULL:
        return DiskFull(f"{folder} has no room: {error.strerror}.")
    if found := _explain_folder(folder):
        return found
    if isinstance(error, PermissionError):
        return _no_permission(Path(error.filename or folder))
    return SpoolError(f"{folder} cannot be used: {error.strerror}.")


def explain_unwritable(path: Path, reason: str) -> EdgeAgentError:
    """Why the spool's file cannot be written: ``DiskFull`` or ``SpoolError``. ``reason`` is SQLite's."""
    if has_no_room(path.parent):
        return DiskFull(f"{path} cannot be written: {reason}.")
    return _explain_folder(path.parent) or SpoolError(f"{path} cannot be written: {reason}.")


def _explain_folder(folder: Path) -> SpoolError | None:
    """The problem with the folder itself; None if it is usable."""
    try:
        if not folder.is_dir():
            nearest = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
            if nearest == folder or not nearest.is_dir():
                return SpoolError(f"{nearest} is not a folder.", remedy="Set state.folder to another folder.")
            folder = nearest
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return SpoolError(
                f"{folder} is on a disk that is mounted read-only.",
                remedy="Linux does this to a disk with errors: check 'dmesg', and replace the card if it shows any.",
            )
    except PermissionError:
        return _no_permission(folder)
    except OSError:
        return None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return _no_permission(folder)
    return None


def _no_permission(path: Path) -> SpoolError:
    return SpoolError(
        f"The agent may not write to {path}.",
        remedy="Make the agent's user the owner of the state folder, for example: sudo chown -R leukoscope: FOLDER",
    )
