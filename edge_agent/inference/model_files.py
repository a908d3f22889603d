"""Reads the files of a bundle or head, which somebody else may have made."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from edge_agent.inference.signature import MAX_SIGNATURE_BYTES, SIGNATURE

MAX_MANIFEST_BYTES = 2**20
MAX_MODEL_BYTES = 64 * 2**20
MAX_FILE_BYTES = 16 * 2**20
MAX_FOLDER_BYTES = 192 * 2**20
"""Size limit of all files of a folder together."""


class FileRefused(Exception):
    """A file must not be read. The exception's text is for people."""


def read_file(folder: Path, name: str, max_bytes: int) -> bytes:
    """Content of a plain file. A link is refused: it could lead out of the folder.

    Raises ``OSError`` or ``ValueError``, or ``FileRefused`` if it is not a plain file or larger than ``max_bytes``.
    """
    path = folder / name
    try:
        # If it is a pipe, do not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileRefused(f"{name} is a link") from error
        raise
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise FileRefused(f"{name} is not a plain file")
        if found.st_size > max_bytes:
            raise FileRefused(f"{name} has {found.st_size} bytes, more than {max_bytes}")
        # The file may be growing at this moment.
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise FileRefused(f"{name} has more than {max_bytes} bytes")
    return content


def read_signature(folder: Path) -> bytes | None:
    """The file ``signature``, or None if there is none. Raises as ``read_file``."""
    try:
        return read_file(folder, SIGNATURE, MAX_SIGNATURE_BYTES)
    except FileNotFoundError:
        return None


def max_bytes_of(name: str) -> int:
    """How large a file of a bundle or head may be."""
    return MAX_MODEL_BYTES if name.endswith(".tflite") else MAX_FILE_BYTES
