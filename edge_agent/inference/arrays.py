"""Reads arrays from ``.npz`` files that somebody else may have made."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

MAX_ARRAYS_BYTES = 16 * 2**20
"""The largest of our own files, of a bundle with 96 channels, unpacks to 0.2 MiB."""


def read_arrays(content: bytes, names: Sequence[str], *, max_bytes: int = MAX_ARRAYS_BYTES) -> dict[str, NDArray[Any]]:
    """The named arrays of the content of an ``.npz`` file.

    Nothing is unpickled, and no more than ``max_bytes`` is unpacked. Raises ``ValueError`` with a text for people if
    the file cannot be read, is too large or lacks one of the arrays.
    """
    try:
        file = io.BytesIO(content)
        with ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > max_bytes:
            raise ValueError(f"it unpacks to {unpacked} bytes, more than {max_bytes}")  # noqa: TRY301
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in names}
    except KeyError as error:
        raise ValueError(str(error.args[0] if error.args else error)) from error
    except Exception as error:
        # Whatever zip, zlib and the parser of numpy's headers stumble over: each has kinds of its own.
        raise ValueError(str(error) or type(error).__name__) from error
    for name, array in found.items():
        # A file in the archive that is no array is given as its bytes.
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} is not an array")  # noqa: TRY004 - any problem of a file is a ValueError
    return found
