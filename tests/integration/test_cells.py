"""A device on which a cells bundle judges, alone or beside another bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_agent.cameras.smear import draw_smear
from edge_agent.cli.doctor import examine
from edge_agent.config import Config
from edge_agent.contracts import EventKind, Info, Outcome, Result
from edge_agent.errors import BundleWrongKind
from tests.agents import configuration, running
from tests.cells import make_cells_bundle
from tests.mqtt import Subscriber

UM_PER_PIXEL = 0.1


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    return make_cells_bundle(tmp_path / "cells")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rgb = draw_smear(np.random.default_rng(3), "pre-b", size_px=(1100, 1200), um_per_pixel=UM_PER_PIXEL)[0]
    Image.fromarray(rgb).save(folder / "0.png")
    return folder


def reading(port: int, pictures: Path, **analysis: str) -> Config:
    """A device that reads the pictures once."""
    camera = {"kind": "folder", "path": str(pictures), "um_per_pixel": UM_PER_PIXEL}
    return configuration(port, camera=camera, analysis=analysis)


def next_info(subscriber: Subscriber) -> Info:
    found = subscriber.next("info").body()
    assert isinstance(found, Info)
    return found


def next_result(subscriber: Subscriber) -> Result:
    found = subscriber.next("result").body()
    assert isinstance(found, Result)
    return found


def test_a_cells_bundle_decides_alone(broker_port: int, subscriber: Subscriber, pictures: Path, cells: Path) -> None:
    with running(reading(broker_port, pictures, bundle=str(cells))):
        info, result = next_info(subscriber), next_result(subscriber)
    assert (info.model.name, info.cells_model) == ("test-cells", None)
    assert (result.outcome, result.model) == (Outcome.CLASSIFIED, info.model)
    assert result.differential is not None
    assert result.differential.judged_count == sum(cell.type is not None for cell in result.cells) > 0


def test_both_judge_until_a_reload_leaves_one_out(
    broker_port: int, subscriber: Subscriber, pictures: Path, cells: Path
) -> None:
    both = reading(broker_port, pictures, bundle="demo", cells_bundle=str(cells))
    with running(both) as agent:
        info, started, result = next_info(subscriber), subscriber.next("event").body(), next_result(subscriber)
        assert (started.kind, started.details["cells_model"]) == (EventKind.STARTED, "test-cells")
        assert info.cells_model is not None
        assert (info.model.name, info.cells_model.name) == ("demo", "test-cells")
        assert (result.model, result.provisional) == (info.model, False)
        assert result.differential is not None
        assert (result.differential.model, result.differential.judged_count > 0) == (info.cells_model, True)
        # A bundle that judges cells itself cannot replace the other one, and nothing changes.
        with pytest.raises(BundleWrongKind):
            agent.reload(reading(broker_port, pictures, bundle=str(cells), cells_bundle=str(cells)))
        assert agent.model.name == "demo"
        agent.reload(reading(broker_port, pictures, bundle="demo"))
        assert next(each for each in iter(lambda: next_info(subscriber), None) if each.cells_model is None)


def test_an_installed_cells_bundle_takes_the_place_of_the_other_only_where_none_is_beside(
    broker_port: int, pictures: Path, cells: Path
) -> None:
    with running(reading(broker_port, pictures, bundle="demo", cells_bundle=str(cells))) as agent:
        agent.models.store.install(cells)
        with pytest.raises(BundleWrongKind):
            agent.models.select("test-cells")
        assert agent.model.name == "demo"
        # A candidate is compared by its labels, and has no cells bundle beside it.
        candidate = agent.models.candidate("test-cells")
        assert (candidate.model.name, candidate.cells_beside) == ("test-cells", None)
        agent.reload(reading(broker_port, pictures, bundle="demo"))
        agent.models.select("test-cells")
        assert agent.model.name == "test-cells"


def test_doctor_tests_the_cells_bundle_too(broker_port: int, pictures: Path, cells: Path) -> None:
    both = reading(broker_port, pictures, bundle="demo", cells_bundle=str(cells))
    found = next(each for each in examine(both) if each.check == "bundle")
    assert (found.code, found.detail) == (
        "ok",
        "demo 0.3.0 verified, golden fields agree; test-cells 0.3.0 for cells verified, golden fields agree",
    )
    manifest = json.loads((cells / "manifest.json").read_bytes())
    (cells / "manifest.json").write_text(json.dumps({**manifest, "evidence": None}))
    found = next(each for each in examine(both) if each.check == "bundle")
    assert "test-cells 0.3.0 for cells verified, golden fields agree; PROVISIONAL, it gives no types: " in found.detail
    lab = {"id": "lab@1", "denoise": "median3"}
    (cells / "manifest.json").write_text(json.dumps({**manifest, "preprocessing": lab}))
    found = next(each for each in examine(both) if each.check == "bundle")
    assert found.code == "bundle_golden_mismatch"
    (cells / "golden.npz").unlink()
    found = next(each for each in examine(both) if each.check == "bundle")
    assert found.code == "bundle_file_missing"
