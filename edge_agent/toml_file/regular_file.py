"""Reads small files without ever blocking."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MAX_BYTES = 2**20


def read_regular_file(path: Path) -> bytes:
    """The content of a regular file of at most one MiB.

    Raises ``OSError``, whose ``strerror`` says what else it is, such as a folder or a pipe.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise OSError(None, "There is no such name", str(path)) from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(None, "It is a folder", str(path))
        if not stat.S_ISREG(mode):
            raise OSError(None, "It is not a regular file", str(path))
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise OSError(None, f"It is larger than {_MAX_BYTES // 2**20} MiB", str(path))
    return content
