"""'trainer appearance': measures how the training images of a bundle look."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from edge_agent.contracts import Measure
from edge_agent.errors import BundleError
from edge_agent.inference import load_bundle
from edge_agent.vision.appearance import Appearance
from trainer.cli.entry_point import main
from trainer.data.dataset import read_dataset
from trainer.data.description import load_description
from trainer.data.split import Assignment, Part, write_split
from trainer.data.synthesis import synthesise
from trainer.errors import DataError
from trainer.evaluation.appearance import summarise


def appearance(**values: float) -> Appearance:
    return Appearance(**{each.name: values.get(each.name) for each in fields(Appearance)})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight drawn images, and a split that trains on half of them."""
    folder = tmp_path / "data"
    synthesise(folder, per_class=2, seed=1)
    dataset = read_dataset(folder, load_description(None, folder))
    parts = [Part.TRAIN, Part.TEST]
    write_split(tmp_path / "split.csv", [Assignment(file, i, parts[i % 2]) for i, file in enumerate(dataset.files)])
    return folder


def run(bundle: Path, data: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["appearance", "--bundle", str(bundle), "--data", str(data), "--split", str(data.parent / "split.csv")])
    return int(ended.value.code or 0)


def test_it_is_written_into_the_manifest_and_nothing_else_changes(
    demo_bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_bundle(demo_bundle).manifest
    assert run(demo_bundle, data) == 0
    after = load_bundle(demo_bundle).manifest
    assert before.appearance is not None
    assert after.appearance is not None
    assert after.appearance != before.appearance
    assert after.reference is not None
    assert after.reference.images_count == 4
    assert after.model_copy(update={"appearance": before.appearance, "reference": before.reference}) == before
    assert f"{len(after.appearance.measures)} measures of 4 training images" in capsys.readouterr().err


def test_training_images_are_measured_and_the_others_are_judged(demo_bundle: Path, data: Path) -> None:
    assert run(demo_bundle, data) == 0
    with_all = load_bundle(demo_bundle).manifest
    split = data.parent / "split.csv"
    lines = split.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.strip().endswith(",test")] + [
        line for line in lines if line.strip().endswith(",test")
    ][:2]
    split.write_text("".join(kept))
    assert run(demo_bundle, data) == 0
    with_fewer = load_bundle(demo_bundle).manifest
    assert with_fewer.appearance == with_all.appearance
    assert with_fewer.reference is not None
    assert with_fewer.reference.images_count == 2


def test_an_image_that_has_changed_is_one_error_and_leaves_the_bundle_alone(
    demo_bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (demo_bundle / "manifest.json").read_bytes()
    for path in data.glob("*/*"):
        path.write_bytes(path.read_bytes() + b" ")
    assert run(demo_bundle, data) == 2
    assert "has changed since the split was made" in capsys.readouterr().err
    assert (demo_bundle / "manifest.json").read_bytes() == before


def test_the_range_is_that_of_the_middle_98_percent() -> None:
    found = summarise([appearance(nucleus_diameter_px=each) for each in range(1, 102)])
    limits = found.measures[Measure.NUCLEUS_DIAMETER]
    assert (limits.low, limits.median, limits.high) == (2, 51, 100)
    assert (limits.images_count, found.images_count) == (101, 101)


def test_what_few_images_have_or_what_never_varies_is_left_out() -> None:
    few = [appearance(sharpness_ratio=1, nucleus_diameter_px=10 + each) for each in range(4)]
    many = [appearance(sharpness_ratio=1, red_cell_diameter_px=10 + each) for each in range(6)]
    assert set(summarise(few + many).measures) == {Measure.RED_CELL_DIAMETER}


def test_what_is_compared_as_a_ratio_is_left_out_where_some_images_have_none_of_it() -> None:
    smooth = [appearance(noise_ratio=each / 100, nucleus_diameter_px=10 + each) for each in range(101)]
    flat = [appearance(noise_ratio=0.0, nucleus_diameter_px=10 + each) for each in range(5)]
    assert set(summarise(smooth + flat).measures) == {Measure.NUCLEUS_DIAMETER}


def test_no_image_is_one_error() -> None:
    with pytest.raises(DataError, match="no training image"):
        summarise([])


@pytest.mark.parametrize("name", ["accurate", "fast", "demo"])
def test_the_shipped_bundles_know_how_their_training_images_look(name: str) -> None:
    found = load_bundle(name).manifest.appearance
    assert found is not None
    assert set(found.measures) == set(Measure)


def test_a_range_of_something_unknown_is_refused(demo_bundle: Path) -> None:
    path = demo_bundle / "manifest.json"
    content = json.loads(path.read_text())
    content["appearance"]["measures"]["smell_ratio"] = {"low": 1, "median": 2, "high": 3, "images_count": 1}
    path.write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"appearance\.measures"):
        load_bundle(demo_bundle)
