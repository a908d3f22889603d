"""Reads arrays from ``.npz`` files that somebody else may have made."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

MAX_ARRAYS_BYTES = 16 * 2**20
"""The largest file of ours, of a bundle with 96 channels, unpacks to 0.2 MiB."""

_DAMAGE = (
    *(OSError, EOFError, TypeError, BadZipFile, MemoryError),
    zlib.error,  # damage in what is compressed, which shows before the checksum does
    NotImplementedError,  # a compression that Python does not know
    RuntimeError,  # an encrypted file
)
"""What reading such a file raises."""


def read_arrays(content: bytes, names: Sequence[str], *, max_bytes: int = MAX_ARRAYS_BYTES) -> dict[str, NDArray[Any]]:
    """The named arrays of the content of an ``.npz`` file.

    Nothing is unpickled, and no more than ``max_bytes`` is unpacked. Raises ``ValueError`` with a text for people if
    the file cannot be read, is too large or lacks one.
    """
    try:
        file = io.BytesIO(content)
        with ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > max_bytes:
            raise ValueError(f"it unpacks to {unpacked} bytes, more than {max_bytes}")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in names}
    except KeyError as error:
        raise ValueError(str(error.args[0] if error.args else error)) from error
    except _DAMAGE as error:
        raise ValueError(str(error)) from error
    # numpy gives the bytes of a member that is in another format.
    if others := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"{others[0]} is not an array")
    return found
