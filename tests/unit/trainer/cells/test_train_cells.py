"""'trainer train-cells' from pictures to a run: what it learns, that it resumes, and that it never sees test cells."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.unit.trainer.cells.drawn_cells import SIDE_UM, draw_cell, write_picture
from trainer.cells.training import train as training
from trainer.cells.training import types_training
from trainer.cells.training.map_cache import CachedCells
from trainer.cells.training.network import ALPHA, TYPES_LOGITS, CellsWeights, build_cells_network
from trainer.cells.training.options import Apart, CellsOptions
from trainer.cells.training.run import CHECKPOINT, CONFIG, METRICS, PARTS, WEIGHTS, read_cells_config
from trainer.cells.training.types_training import TypedCells, mix_styles, train_types
from trainer.cells.windows.cutting import WINDOW_PX
from trainer.data.split import Part
from trainer.errors import DataError, RunError
from trainer.networks.backbone import build_backbone
from trainer.networks.weights import named_weights, write_weights
from trainer.spec import LOGITS
from trainer.training.checkpoint import Checkpoint, write_checkpoint

SOURCES = """
[[laboratories]]
code = "north"
name = "Drawn"
manifest = "cells/manifest.csv"
images = "cells"
path_prefix = "north/"
side_um = 30.0
scale_source = "drawn"
licence = "none"
groups = "patients"
use = "training"

[[laboratories]]
code = "south"
name = "Drawn"
manifest = "cells/manifest.csv"
images = "cells"
path_prefix = "south/"
side_um = 30.0
scale_source = "drawn"
licence = "none"
groups = "unknown"
use = "training"

[classes]
blast = "blast"
neutrophil = "neutrophil"
lymphocyte = "lymphocyte"
"""
NUCLEI_UM = {"blast": 13.0, "neutrophil": 9.0, "lymphocyte": 7.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two laboratories with 24 drawn cells each, in which the size of the nucleus is the type."""
    folder = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(1)
    rows = []
    for code in ("north", "south"):
        for number in range(24):
            label = list(NUCLEI_UM)[number % 3]
            path = f"{code}/{number}.png"
            drawn = draw_cell(nucleus_um=NUCLEI_UM[label] + rng.uniform(-1, 1)).astype(np.int16)
            noisy = np.clip(drawn + rng.normal(0, 3, drawn.shape), 0, 255).astype(np.uint8)
            write_picture(folder / "cells" / path, noisy)
            rows.append({"path": path, "label": label, "group": f"p{number // 3}" if code == "north" else ""})
    with (folder / "cells/manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group"])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "sources.toml").write_text(SOURCES)
    keras.utils.set_random_seed(0)
    write_weights(folder / "imagenet.npz", named_weights(build_backbone(ALPHA, side_px=WINDOW_PX)))
    assert SIDE_UM == 30.0
    return folder


def options(data: Path, out: Path, **changes: object) -> CellsOptions:
    return CellsOptions.model_validate(
        {
            "data": data.as_posix(),
            "out": out.as_posix(),
            "weights": str(data / "imagenet.npz"),
            "sources": str(data / "sources.toml"),
            "cache": str(data / "cache"),
            "leave_out": "south",
            "apart": Apart.PATIENTS,
            "test_share": 0.2,
            "validation_share": 0.3,
            "variants": 1,
            "epochs": 1,
            "seed": 3,
            **changes,
        }
    )


class Killed(Exception):
    """Stands in for a signal."""


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training without the south that was killed after its last epoch and then continued."""
    out = tmp_path_factory.mktemp("run") / "north"
    with pytest.MonkeyPatch.context() as patch:

        def killed(*_: object) -> None:
            raise Killed

        patch.setattr(training, "write_curves", killed)
        with pytest.raises(Killed):
            training.train_cells(options(data, out))
    assert (out / CHECKPOINT).exists()
    assert not (out / WEIGHTS).exists()
    with pytest.raises(RunError, match="other options"):
        training.train_cells(options(data, out, epochs=3))
    training.train_cells(options(data, out))
    return out


def test_a_run_holds_what_a_bundle_is_made_of(run: Path, data: Path) -> None:
    weights = CellsWeights.load(run / WEIGHTS)
    logits = build_cells_network(weights)(np.zeros((1, WINDOW_PX, WINDOW_PX, 3)), training=False)[LOGITS]
    assert logits.shape == (1, 9)
    assert np.isfinite(logits).all()
    assert weights.dark_weight != 0
    assert read_cells_config(run).options == options(data, run)
    assert not (run / CHECKPOINT).exists()
    with pytest.raises(RunError, match="finished run"):
        training.train_cells(options(data, run))


def test_a_laboratory_that_is_left_out_teaches_nothing(run: Path) -> None:
    with (run / PARTS).open(newline="") as file:
        parts = [(row["laboratory"], row["part"]) for row in csv.DictReader(file)]
    assert {part for laboratory, part in parts if laboratory == "south"} == {Part.TEST}
    assert {part for laboratory, part in parts if laboratory == "north"} == {Part.TRAIN, Part.VALIDATION}
    counts = json.loads((run / METRICS).read_text())["cells_count"]
    assert counts[Part.TEST] == {"south": 24}
    assert set(counts[Part.TRAIN]) == {"north"}


def small_tail() -> keras.Model:
    keras.utils.set_random_seed(0)
    maps = keras.Input((2, 2, 3))
    features = keras.layers.Flatten(name="features")(maps)
    return keras.Model(maps, {TYPES_LOGITS: keras.layers.Dense(8, name=TYPES_LOGITS)(features)})


def small_cells() -> tuple[CachedCells, TypedCells]:
    """Forty cells of two laboratories whose maps show their types."""
    rng = np.random.default_rng(0)
    types = np.arange(40) % 2
    maps = [rng.normal(types[:, None, None, None], 0.3, (40, 2, 2, 3)).astype(np.float16) for _ in range(3)]
    cached = CachedCells(
        np.array([0, 15, 40]), [[each[:15], each[15:]] for each in maps], np.zeros((40, 1), np.float32)
    )
    return cached, TypedCells(np.arange(40), types, np.full(40, 1 / 40))


def test_a_training_that_was_killed_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached, cells = small_cells()
    whole, resumed = small_tail(), small_tail()
    history = train_types(whole, cached, cells, cells, tmp_path / "whole.npz", epochs=3, seed=1)
    assert [each.epoch for each in history] == [0, 1, 2, 3]
    assert history[-1].clean_loss < history[0].clean_loss

    def written_and_killed(path: Path, state: Checkpoint) -> None:
        write_checkpoint(path, state)
        if state.history[-1].epoch == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(types_training, "write_checkpoint", written_and_killed)
        with pytest.raises(Killed):
            train_types(small_tail(), cached, cells, cells, tmp_path / "parts.npz", epochs=3, seed=1)
    train_types(resumed, cached, cells, cells, tmp_path / "parts.npz", epochs=3, seed=1)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_what_cannot_be_trained_is_said_before_anything_is_computed(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no laboratory 'east'"):
        training.train_cells(options(data, tmp_path / "a", leave_out="east"))
    assert not (tmp_path / "a" / CONFIG).exists()


def test_parts_without_blasts_or_others_are_refused_before_a_run_is_begun(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.exists(), "which leaves the canvases in the cache"
    monkeypatch.setattr(training, "cache_cells", computed)
    with pytest.raises(DataError, match="for validation are not both blasts and others"):
        training.train_cells(options(data, tmp_path / "run", validation_share=0.01))
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_on_when_its_cells_are_divided_otherwise(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.exists(), "which leaves the canvases in the cache"
    monkeypatch.setattr(training, "cache_cells", computed)
    manifest = (data / "cells/manifest.csv").read_text()
    with pytest.raises(Killed):
        training.train_cells(options(data, tmp_path / "run"))
    with pytest.raises(Killed):
        training.train_cells(options(data, tmp_path / "run"))
    try:
        (data / "cells/manifest.csv").write_text(re.sub(r",p(\d)\b", r",q\1", manifest))
        with pytest.raises(RunError, match="other options or cells"):
            training.train_cells(options(data, tmp_path / "run"))
    finally:
        (data / "cells/manifest.csv").write_text(manifest)


def computed(*_: object, **__: object) -> None:
    raise Killed


def test_mixed_styles_change_means_and_spreads_but_no_shapes() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(5, 2, (64, 4, 4, 3)).astype(np.float32) * rng.uniform(0.5, 2, (64, 1, 1, 3)).astype(np.float32)
    mixed = mix_styles(maps, rng)

    def shape_of(each: np.ndarray) -> np.ndarray:
        shape: np.ndarray = (each - each.mean(axis=(1, 2), keepdims=True)) / each.std(axis=(1, 2), keepdims=True)
        return shape

    np.testing.assert_allclose(shape_of(mixed), shape_of(maps), atol=1e-3)
    changed = np.abs(mixed - maps).max(axis=(1, 2, 3)) > 1e-3
    assert 10 < changed.sum() < 54
