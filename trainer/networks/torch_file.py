"""Reads the tensors of a file that PyTorch before 1.6 wrote, without PyTorch.

Such a file is a row of pickles (a magic number, the version of the format, the writer's machine, the tensors by name
with references to their storages, the storages' keys), followed by the content of each storage. PyTorch could read it,
but with its dependencies it takes gigabytes. Python's documentation of pickle says how to restrict what a pickle may
call ("Restricting Globals"): here, only what makes such a dictionary of tensors.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from trainer.errors import WeightsError

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_REMEDY = "Give the .pth file as it was published, or an .npz file."
_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Reference:
    """A tensor whose storage has not been read yet. Sizes and strides are in elements."""

    def __init__(self, storage: str, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride


class _Unpickler(pickle.Unpickler):
    """Unpickles dictionaries of tensors and plain values; refuses everything else that a pickle may ask for."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as the class that it extends
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Reference
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")

    def persistent_load(self, pid: Any) -> str:  # noqa: ANN401 - as the class that it extends
        _, kind, key, *_ = pid
        self.dtypes[key] = _DTYPES[kind]
        return str(key)


def read_torch_file(path: Path) -> dict[str, NDArray[np.generic]]:
    """The tensors of a state dictionary by their names. Raises ``WeightsError``."""
    try:
        file = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"weights cannot be read from {path}: {error.strerror}.", remedy=_REMEDY) from error
    try:
        return _read(file)
    # A damaged pickle may raise nearly anything, of which Python's documentation names only some.
    except Exception as error:
        raise WeightsError(f"weights cannot be read from {path}: {error}.", remedy=_REMEDY) from error


def _read(file: IO[bytes]) -> dict[str, NDArray[np.generic]]:
    magic, version = _Unpickler(file).load(), _Unpickler(file).load()
    if (magic, version) != (_MAGIC, _VERSION):
        raise ValueError("it is not a file of PyTorch's old format")
    _Unpickler(file).load()
    unpickler = _Unpickler(file)
    references = unpickler.load()
    storages = {key: _read_storage(file, unpickler.dtypes[key]) for key in _Unpickler(file).load()}
    return {name: _tensor(storages[each.storage], each) for name, each in references.items()}


def _tensor(storage: NDArray[np.generic], reference: _Reference) -> NDArray[np.generic]:
    # The constructor refuses a tensor that reaches beyond the buffer; as_strided would hand it out.
    strides = tuple(steps * storage.itemsize for steps in reference.stride)
    return np.ndarray(reference.size, storage.dtype, storage, reference.offset * storage.itemsize, strides)


def _read_storage(file: IO[bytes], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    count = int.from_bytes(file.read(8), "little")
    content = file.read(count * dtype.itemsize)
    return np.frombuffer(content, dtype, count)
