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
        return _read(content, names, max_bytes)
    except KeyError as error:
        raise ValueError(str(error.args[0] if error.args else error)) from error
    except Exception as error:
        # zipfile, zlib, lzma and numpy's parser of headers, which is Python's own, each fail in ways of their own, and
        # a file from elsewhere must be one error in every case.
        raise ValueError(str(error) or type(error).__name__) from error


def _read(content: bytes, names: Sequence[str], max_bytes: int) -> dict[str, NDArray[Any]]:
    file = io.BytesIO(content)
    with ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max_bytes:
        raise ValueError(f"it unpacks to {unpacked} bytes, more than {max_bytes}")
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in names}
    # numpy gives the bytes of a member that is not an array.
    if others := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"{others[0]} is not an array")
    return found
