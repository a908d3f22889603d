from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainer.errors import RunError
from trainer.networks.frozen_features import read_outputs


@pytest.mark.parametrize("mapped", [True, False])
def test_outputs_that_are_damaged_are_one_clear_error(tmp_path: Path, mapped: bool) -> None:
    path = tmp_path / "maps.npy"
    np.save(path, np.ones((4, 2, 2, 3), np.float16))
    assert read_outputs(path, mapped=mapped).shape == (4, 2, 2, 3)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(RunError, match=r"maps\.npy is damaged"):
        read_outputs(path, mapped=mapped)
    path.unlink()
    with pytest.raises(RunError, match=r"maps\.npy"):
        read_outputs(path, mapped=mapped)
