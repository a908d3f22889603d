"""Replaces a file in one step: readers see the old or the new content, even after a power cut."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def replace_file(path: Path, content: bytes, *, mode: int | None = None, keep_before: bool = False) -> None:
    """Write ``content`` to ``path``, or to the file that it links to, and wait for the disk.

    Mode and owner of an existing file are kept, unless ``mode`` is given; a new file follows the umask, and belongs to
    its folder's owner if root writes it. With ``keep_before`` the old file stays beside it as ``NAME.before``.
    Raises ``OSError``, or ``RuntimeError`` for a link to itself.
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    found = target.stat() if target.exists() else None
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        _write(new, content, mode, found)
        if keep_before and found is not None:
            before = target.with_name(f"{target.name}.before")
            # Remove it first, because it may be a link.
            before.unlink(missing_ok=True)
            shutil.copy2(target, before)
            _own(before, found)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(target.parent)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which replaces ``path`` at the end of the block; if that fails, nothing has changed.

    For content that is too large to be in memory. It gets the mode and owner of a new file. Raises ``OSError``.
    """
    target = path.resolve()
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        with new.open("xb") as file:
            own_as_folder(new)
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(target.parent)


def own_as_folder(path: Path) -> None:
    """Give a new file or folder that root created the owner of its folder."""
    if os.geteuid() == 0:
        _own(path, path.parent.stat())


def sync_folder(folder: Path) -> None:
    """Wait until the names in ``folder`` are on the disk. Raises ``OSError``."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(new: Path, content: bytes, mode: int | None, found: os.stat_result | None) -> None:
    # Not readable by others until it has its final mode.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(content)
        if found is not None:
            _own(new, found)
        else:
            own_as_folder(new)
        if mode is not None:
            new.chmod(mode)
        elif found is not None:
            new.chmod(found.st_mode & 0o777)
        else:
            new.chmod(0o666 & ~_umask())
        file.flush()
        os.fsync(descriptor)


def _own(path: Path, found: os.stat_result) -> None:
    # Without permission to change the owner, a file of another user gets this user as its owner.
    with contextlib.suppress(PermissionError):
        os.chown(path, found.st_uid, found.st_gid)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
