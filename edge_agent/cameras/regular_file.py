"""Opens files without ever blocking."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.errors import ImageError


@contextmanager
def open_regular(path: Path, name: str) -> Iterator[int]:
    """A descriptor for reading the regular file at ``path``.

    Raises ``ImageError``, with ``name`` for the file, if it cannot be opened or is not a regular file: a pipe or a
    device may never answer. ``path`` may contain any bytes; it is only passed to the kernel.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{name} cannot be read: {reason}.") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ImageError(f"{name} is not a regular file.", remedy="Give a file, not a pipe or a device.")
        yield descriptor
    finally:
        os.close(descriptor)
