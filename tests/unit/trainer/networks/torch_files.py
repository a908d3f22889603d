"""Writes files as PyTorch before 1.6 wrote them, without PyTorch."""

from __future__ import annotations

import io
import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
_KINDS = {"float32": "FloatStorage", "int64": "LongStorage"}


class _Storage:
    def __init__(self, key: str, kind: type, count: int) -> None:
        self.pid = ("storage", kind, key, "cpu", count, None)


class _Tensor:
    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self._arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> Any:
        return obj.pid if isinstance(obj, _Storage) else None


@contextmanager
def _torch_by_name() -> Iterator[ModuleType]:
    """Modules with PyTorch's names, because a pickle names classes and functions by their modules."""

    def _rebuild_tensor_v2(*_: object) -> None: ...

    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for kind in _KINDS.values():
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    vars(utils)["_rebuild_tensor_v2"] = _rebuild_tensor_v2
    modules = {"torch": torch, "torch._utils": utils}
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield torch
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def torch_file(
    tensors: Mapping[str, np.ndarray],
    *,
    magic: int = MAGIC,
    version: int = 1001,
    offset: int = 0,
    extra: Mapping[str, object] | None = None,
) -> bytes:
    """The file of these tensors, each in its own storage with its own strides.

    ``offset`` is added to each tensor's declared start; ``extra`` are values that are not tensors.
    """
    file = io.BytesIO()
    with _torch_by_name() as torch:
        entries: OrderedDict[str, object] = OrderedDict()
        storages: list[np.ndarray] = []
        for name, array in tensors.items():
            # A transposed array keeps its memory, as a transposed tensor does.
            flat = np.lib.stride_tricks.as_strided(array, (array.size,), (array.itemsize,))
            storage = _Storage(str(len(storages)), getattr(torch, _KINDS[array.dtype.name]), array.size)
            strides = tuple(step // array.itemsize for step in array.strides)
            entries[name] = _Tensor((storage, offset, array.shape, strides, False, OrderedDict()))
            storages.append(flat)
        for value in (magic, version, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        _Pickler(file, protocol=2).dump(OrderedDict(entries, **(extra or {})))
    pickle.dump([str(number) for number in range(len(storages))], file, protocol=2)
    for flat in storages:
        file.write(len(flat).to_bytes(8, "little") + flat.tobytes())
    return file.getvalue()
