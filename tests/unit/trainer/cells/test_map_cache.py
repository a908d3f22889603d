"""What is kept of the frozen layers' outputs for the next training is used only where it would be the same."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.unit.trainer.cells.drawn_cells import draw_cell, make_sources, write_picture
from trainer.cells.laboratories.listing import list_cells
from trainer.cells.laboratories.sources import Sources
from trainer.cells.training import map_cache
from trainer.cells.training.map_cache import cache_cells
from trainer.cells.windows.canvases import make_canvases
from trainer.cells.windows.cutting import WINDOW_PX
from trainer.networks.weights import Weights


def small_trunk(weights: Weights) -> keras.Model:
    window = keras.Input((WINDOW_PX, WINDOW_PX, 3))
    layer = keras.layers.Conv2D(1, 1, use_bias=False)
    trunk = keras.Model(window, keras.layers.GlobalAveragePooling2D()(layer(window)))
    layer.set_weights([weights["kernel"]])
    return trunk


@pytest.fixture(autouse=True)
def small_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_cache, "build_trunk", small_trunk)


def outputs(data: Path, sources: Sources, kernel: float) -> np.ndarray:
    canvases = make_canvases(list_cells(data, sources).cells, sources, data / "cache/canvases", processes=1)
    weights = {"kernel": np.full((1, 1, 3, 1), kernel, np.float32)}
    return np.asarray(cache_cells(canvases, weights, data / "cache/maps", variants=1, seed=1).take(0, np.array([0])))


def test_outputs_of_another_scale_or_of_other_weights_are_not_taken_for_these(tmp_path: Path) -> None:
    write_picture(tmp_path / "cells/north/1.png", draw_cell())
    (tmp_path / "cells/manifest.csv").write_text("path,label\nnorth/1.png,blast\n")
    sources = make_sources("north")
    laboratory = sources.laboratories[0]
    other_scale = sources.model_copy(update={"laboratories": (laboratory.model_copy(update={"side_um": 60.0}),)})
    first = outputs(tmp_path, sources, 1.0)
    assert not np.array_equal(outputs(tmp_path, other_scale, 1.0), first)
    assert not np.array_equal(outputs(tmp_path, sources, 2.0), first)
    assert len(list((tmp_path / "cache/maps").iterdir())) == 9
    assert np.array_equal(outputs(tmp_path, sources, 1.0), first)
    assert len(list((tmp_path / "cache/maps").iterdir())) == 9
