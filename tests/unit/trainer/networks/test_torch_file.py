"""Weights in PyTorch's old format are read as they were written, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.networks.torch_files import torch_file
from trainer.errors import WeightsError
from trainer.networks.torch_file import read_torch_file

TENSORS: dict[str, np.ndarray] = {
    "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "transposed": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
    "count": np.array(7, np.int64),
}


def _read(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return read_torch_file(path)


def test_tensors_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = _read(tmp_path, torch_file(TENSORS))
    assert found.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self._path,)


def test_what_a_file_asks_to_be_called_is_refused(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(WeightsError, match="refers to"):
        _read(tmp_path, torch_file(TENSORS, extra={"more": Touches(touched)}))
    assert not touched.exists()


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"weights\.pth"):
        _read(tmp_path, torch_file(TENSORS, offset=1))


@pytest.mark.parametrize("changed", [{"magic": 5}, {"version": 1002}], ids=["magic", "version"])
def test_another_format_is_refused(tmp_path: Path, changed: dict[str, int]) -> None:
    with pytest.raises(WeightsError, match="old format"):
        _read(tmp_path, torch_file(TENSORS, **changed))  # type: ignore[arg-type]  # mypy takes them for any keyword


WHOLE = torch_file(TENSORS)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_was_cut_off_is_one_clear_error(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        _read(tmp_path_factory.getbasetemp(), WHOLE[:length])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, at: int, change: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= change
    try:
        found = _read(tmp_path_factory.getbasetemp(), bytes(damaged))
    except WeightsError:
        return
    assert all(isinstance(each, np.ndarray) for each in found.values())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.pth: No such file"):
        read_torch_file(tmp_path / "absent.pth")
