"""The comparison on a small drawn data set: what is fitted, skipped and kept."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.cli import main
from trainer.comparison.int8_network import Ensemble
from trainer.comparison.results import Comparison
from trainer.comparison.table import to_markdown
from trainer.networks.backbone import build_backbone
from trainer.networks.weights import named_weights, write_weights
from trainer.reports.markdown import percent
from trainer.spec import Network
from trainer.training.run import read_config

ALPHA = 0.35


def _run(*words: str | float | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set with a split, random weights, and a comparison."""
    folder = tmp_path_factory.mktemp("compare")
    assert _run("synth", "--out", folder / "data", "--per-class", 12, "--seed", 3) == 0
    shares = ("--test-share", 0.25, "--validation-share", 0.25)
    assert _run("prepare", "--data", folder / "data", "--out", folder / "split.csv", *shares) == 0
    keras.utils.set_random_seed(2)
    write_weights(folder / "weights.npz", named_weights(build_backbone(ALPHA)))
    write_weights(folder / "lite0.npz", named_weights(build_backbone(1.0, Network.EFFICIENTNET_LITE0)))
    assert _run(*_compare(folder)) == 0
    return folder


def _compare(folder: Path, *more: str | Path) -> tuple[str | float | Path, ...]:
    options = ("--data", folder / "data", "--split", folder / "split.csv", "--out", folder / "out", "--variants", 1)
    weights = ("--weights", f"{ALPHA}={folder / 'weights.npz'}", "--preprocessing", "rgb@1", "--epochs", 0)
    other = ("--other", f"EfficientNet-Lite0={folder / 'lite0.npz'}")
    return ("compare", *options, *weights, *other, "--bundle", "demo", *more)


@pytest.fixture(scope="module")
def found(folder: Path) -> Comparison:
    return Comparison.model_validate_json((folder / "out" / "comparison.json").read_bytes())


def test_every_classifier_has_a_row_with_all_figures_or_a_reason(found: Comparison) -> None:
    names = [row.name for row in found.rows]
    assert len(set(names)) == len(names) == 10
    for row in found.rows:
        figures = row.model_dump(exclude={"name", "sees", "reason"})
        assert all(value is None for value in figures.values()) == (row.reason is not None)
        assert row.reason is not None or None not in figures.values()


def test_networks_without_weights_say_so(found: Comparison) -> None:
    skipped = {row.name.partition(",")[0] for row in found.rows if row.reason is not None}
    assert skipped == {"EfficientNetB0", "NASNetMobile", "VGG16"}


def test_efficientnet_lite0_is_trained_and_converted_as_mobilenet_v2_is(found: Comparison, folder: Path) -> None:
    row = next(row for row in found.rows if row.name.startswith("EfficientNet-Lite0"))
    run = read_config(folder / "out" / "efficientnet-lite0-1-rgb-1-1")
    assert run.options.network is Network.EFFICIENTNET_LITE0
    # 3.4 million weights of one byte each, and the rest of the file; 0.6 MB at alpha 0.35.
    assert 3.4e6 < (row.size_bytes or 0) < 4.5e6


def test_what_knows_the_drawn_classes_is_found_to_know_them(found: Comparison) -> None:
    by_name = {row.name: row for row in found.rows}
    # 12 test images, chance 0.25. The bundle is trained on such drawings; a forest sees clearly different nuclei.
    assert (by_name["demo, as shipped"].test_ratio or 0) >= 0.75
    assert (by_name["random forest"].test_ratio or 0) >= 0.5
    low, high = by_name["random forest"].test_interval_ratio or (0, 0)
    assert low < (by_name["random forest"].test_ratio or 0) < high or high == 1


def test_an_ensemble_weighs_what_its_members_weigh(found: Comparison) -> None:
    single, pair = (next(row for row in found.rows if row.name.startswith(name)) for name in ("MobileNetV2", "two"))
    assert pair.size_bytes == pytest.approx(2 * (single.size_bytes or 0), rel=0.02)


def test_the_table_has_a_line_per_classifier(found: Comparison, folder: Path) -> None:
    lines = to_markdown(found).splitlines()
    assert (folder / "out" / "comparison.md").read_text().splitlines() == lines
    assert len(lines) == 2 + len(found.rows)
    assert len({line.count("|") for line in lines}) == 1
    for row, line in zip(found.rows, lines[2:], strict=True):
        for ratio in (row.validation_ratio, row.validation_shifted_ratio, row.test_ratio, row.test_shifted_ratio):
            assert ratio is None or percent(ratio) in line


def test_an_ensemble_averages_scores() -> None:
    class Says:
        size_bytes = 10

        def __init__(self, *scores: float) -> None:
            self._scores = np.array([scores])

        def scores(self, fields: np.ndarray) -> np.ndarray:
            return self._scores

    pair = Ensemble([Says(0.9, 0.1), Says(0.0, 0.6)])
    np.testing.assert_allclose(pair.scores(np.zeros((1, 224, 224, 3), np.uint8)), [[0.45, 0.35]])
    assert pair.size_bytes == 20


def test_a_comparison_resumes_where_it_ended(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = folder / "out" / "random-forest-measured-nuclei.row.json"
    changed = {**json.loads(row.read_text()), "test_ratio": 0.123}
    row.write_text(json.dumps(changed))
    assert _run(*_compare(folder, "--json")) == 0
    assert 0.123 in [each["test_ratio"] for each in json.loads(capsys.readouterr().out)["rows"]]


def test_a_comparison_does_not_resume_with_other_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(*_compare(folder, "--seed", "7")) == 2
    assert "other options" in capsys.readouterr().err


def test_weights_that_do_not_fit_are_refused_before_anything_is_fitted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lite0.pth").write_bytes(b"no weights")
    words = _compare(folder, "--out", tmp_path / "out", "--other", f"EfficientNet-Lite0={tmp_path / 'lite0.pth'}")
    given_twice = words.index("--other")
    assert _run(*words[:given_twice], *words[given_twice + 2 :]) == 2
    assert "weights_invalid" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_weights_need_their_alpha(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--data", "d", "--split", folder / "split.csv", "--out", "o")
    assert _run("compare", *words, "--weights", "file.npz") == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_a_damaged_row_is_measured_again(folder: Path) -> None:
    row = folder / "out" / "random-forest-measured-nuclei.row.json"
    row.write_text("{")
    assert _run(*_compare(folder)) == 0
    assert json.loads(row.read_text())["name"] == "random forest"
