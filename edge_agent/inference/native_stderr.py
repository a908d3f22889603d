"""Filters single lines that a native library writes to stderr."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_LOCK = threading.Lock()


@contextmanager
def stderr_without(noise: re.Pattern[bytes]) -> Iterator[None]:
    """Drop whole lines that match ``noise`` from the process's output to file descriptor 2 inside the block.

    All other lines are written at the end of the block, unchanged and in order, even if the block raises. This is for
    output that a library has no setting for, and that does not pass through ``sys.stderr``. The descriptor belongs to
    the whole process, so output of other threads is delayed until the end too; keep the block short. One block runs at
    a time.
    """
    with _LOCK:
        try:
            original = os.dup(_STDERR)
        except OSError:
            # Stderr is closed, so there is nothing to filter.
            yield
            return
        with tempfile.TemporaryFile() as captured:
            _flush()
            os.dup2(captured.fileno(), _STDERR)
            try:
                yield
            finally:
                _flush()
                os.dup2(original, _STDERR)
                os.close(original)
                captured.seek(0)
                _write(b"".join(line for line in captured if not noise.fullmatch(line.rstrip(b"\r\n"))))


def _flush() -> None:
    """Flush Python's own buffer, so that its text stays inside or outside the block, where it was written."""
    if sys.stderr is not None:
        sys.stderr.flush()


def _write(text: bytes) -> None:
    while text:
        try:
            text = text[os.write(_STDERR, text) :]
        except OSError:
            # Stderr was closed meanwhile.
            return
