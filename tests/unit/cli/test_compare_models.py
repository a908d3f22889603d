"""``edge-agent bundle compare``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from edge_agent.cameras.smear import draw_smear
from edge_agent.cli.compare_models import compare
from edge_agent.errors import BundleMissing, HeadMissing

EXIT_SOME_UNREAD = 3


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(compare)
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def pictures(tmp_path: Path, smear: NDArray[np.uint8]) -> Path:
    """One drawn field of the demonstration's own magnification, one of twice that, and an empty one."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    other, _ = draw_smear(np.random.default_rng(3), "pro-b", size_px=(224, 224))
    Image.fromarray(smear).save(folder / "0.png")
    Image.fromarray(other).save(folder / "1.png")
    Image.fromarray(np.full((224, 224, 3), 240, np.uint8)).save(folder / "2.png")
    return folder


def document(*arguments: object) -> dict[str, Any]:
    found = run(*arguments, "--json")
    parsed: dict[str, Any] = json.loads(found.stdout)
    return parsed


def test_a_bundle_agrees_with_itself(pictures: Path) -> None:
    found = document("demo", "demo", pictures)
    agreement = found["agreement"]
    assert (agreement["compared_count"], agreement["agreeing_count"], agreement["unfit_count"]) == (2, 2, 1)
    assert found["differing"] == []
    assert found["a"] != {}
    assert found["a"]["model"] == found["b"]["model"]
    assert found["a"]["latency_ms"]["samples_count"] == 2


def test_where_two_differ_each_file_is_shown_with_both_answers(pictures: Path) -> None:
    """The real bundle knows no drawn smears."""
    found = document("demo", "fast", pictures)
    assert found["agreement"]["agreeing_count"] == 0
    assert found["agreement"]["candidate_refusals_count"] == {"unfamiliar": 2}
    first = found["differing"][0]
    assert first["name"].endswith("0.png")
    assert (first["a"]["label"], first["b"]["reason"]) == ("pre-b", "unfamiliar")
    shown = run("demo", "fast", pictures)
    assert shown.exit_code == 0
    assert "They agree on 0 of 2 pictures: 0.0% (between 0.0% and 65.8%" in shown.stdout
    assert "abstained (unfamiliar)" in shown.stdout
    assert "Neither could judge 1 more" in shown.stdout


def test_one_that_cannot_be_read_is_listed_and_the_others_are_compared(pictures: Path) -> None:
    (pictures / "1.png").write_bytes(b"broken")
    found = run("demo", "demo", pictures, pictures / "none.png", "--json")
    assert found.exit_code == EXIT_SOME_UNREAD
    parsed = json.loads(found.stdout)
    assert [each["error"]["code"] for each in parsed["unread"]] == ["image_unreadable", "image_missing"]
    assert parsed["agreement"]["compared_count"] == 1
    assert "2 not read" in found.stderr


def test_nothing_to_compare_is_said(tmp_path: Path) -> None:
    Image.fromarray(np.full((224, 224, 3), 240, np.uint8)).save(tmp_path / "empty.png")
    found = run("demo", "demo", tmp_path)
    assert "There was nothing to compare." in found.stdout


def test_a_model_that_is_not_there_is_an_error_before_anything_is_read(pictures: Path, tmp_path: Path) -> None:
    assert isinstance(run("demo", "none", pictures).exception, BundleMissing)
    assert isinstance(run("demo", "demo", pictures, "--head-b", tmp_path / "none").exception, HeadMissing)


def test_a_folder_is_a_bundle_too(pictures: Path, demo_bundle: Path) -> None:
    copy = demo_bundle.with_name("copy")
    shutil.copytree(demo_bundle, copy)
    found = document(copy, "demo", pictures / "0.png")
    assert (found["a"]["model"]["signature"], found["b"]["model"]["signature"]) == ("unsigned", "shipped")
    assert found["agreement"]["agreement_ratio"] == 1
