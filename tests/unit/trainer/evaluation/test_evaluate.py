"""'trainer evaluate' from end to end: the demonstration bundle on drawn smears."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.cameras.frame import ColourOrder, Pixels
from trainer.cli import main
from trainer.data.dataset import read_dataset
from trainer.data.description import load_description
from trainer.data.split import Assignment, Part, write_split
from trainer.data.synthesis import synthesise
from trainer.errors import DataError
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.evaluation.evaluate import Evaluation, evaluate
from trainer.evaluation.foreign import measure_foreign
from trainer.evaluation.options import EvaluationOptions
from trainer.evaluation.shifts import all_shifts

PER_CLASS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn smears in ``data``, all of them test images in ``split.csv``, and pictures of nothing in ``foreign``."""
    folder = tmp_path_factory.mktemp("evaluation")
    description = synthesise(folder / "data", per_class=PER_CLASS, seed=77)
    dataset = read_dataset(folder / "data", description)
    write_split(folder / "split.csv", [Assignment(file, index, Part.TEST) for index, file in enumerate(dataset.files)])
    foreign = folder / "foreign"
    for name, level in (("black", 0), ("white", 255)):
        (foreign / name).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(foreign / name / f"{number}.png"), np.full((300, 400, 3), level, np.uint8))
    (foreign / "white" / "broken.jpg").write_bytes(b"\xff\xd8 cut off")
    (foreign / "white" / "small.png").write_bytes(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes())
    return folder


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> Evaluation:
    return evaluate("demo", folder / "data", folder / "split.csv")


def test_the_demonstration_is_measured_as_the_agent_judges(folder: Path, evaluation: Evaluation) -> None:
    analyzer = BundleAnalyzer.load("demo")
    description = load_description(None, folder / "data")
    dataset = read_dataset(folder / "data", description)
    readings = [analyzer.read(Pixels(field, ColourOrder.RGB)) for field in dataset.fields]
    answered = [reading.label is not None for reading in readings]
    right = [reading.label == file.label for reading, file in zip(readings, dataset.files, strict=True)]
    figures = evaluation.figures
    assert figures.images_count == 4 * PER_CLASS == figures.groups_count
    assert figures.refused_ratio == pytest.approx(1 - np.mean(answered))
    assert figures.answered_accuracy_ratio == pytest.approx(np.sum(right) / np.sum(answered))
    assert np.sum(right) / np.sum(answered) > 0.8
    assert sum(evaluation.refusals.values()) == len(answered) - sum(answered)


def test_speed_size_and_identity_are_reported(evaluation: Evaluation) -> None:
    model = BundleAnalyzer.load("demo").classifier.bundle.model_path
    assert evaluation.model_bytes == model.stat().st_size
    assert 0 < evaluation.speed.inference_ms < evaluation.speed.total_ms
    assert re.match(r"(ai-edge-litert|tflite-runtime) \d", evaluation.speed.runtime)


def test_what_was_not_asked_for_is_null(evaluation: Evaluation) -> None:
    assert evaluation.shifts is None
    assert evaluation.corner is None
    assert evaluation.foreign is None
    assert evaluation.parity is None


def test_refused_images_still_have_a_top_class(folder: Path) -> None:
    analyzer = BundleAnalyzer.load("demo")
    dark = np.zeros((2, 224, 224, 3), np.uint8)
    predictions = analyzer.predict_fields(dark)
    assert predictions.probabilities.sum(axis=1) == pytest.approx(1)
    assert predictions.answers.tolist() == [-1, -1]
    assert predictions.reasons == ("under_exposed", "under_exposed")


def test_foreign_folders_are_counted_one_by_one(folder: Path) -> None:
    black, white = measure_foreign(BundleAnalyzer.load("demo"), [folder / "foreign"])
    assert (black.folder, white.folder) == ("foreign/black", "foreign/white")
    assert (black.images_count, black.refused_ratio) == (3, 1.0)
    assert black.refusals == {"under_exposed": 3}
    assert white.unreadable == ("broken.jpg",)
    assert white.refusals == {"over_exposed": 3, "field_too_small": 1}
    assert black.answered_labels == {}
    low, high = black.refused_interval_ratio
    assert low == pytest.approx(0.4385, abs=1e-3)
    assert high == pytest.approx(1.0)


def test_foreign_images_that_are_answered_are_counted_by_label(folder: Path) -> None:
    (row,) = measure_foreign(BundleAnalyzer.load("demo"), [folder / "data" / "Pre"])
    assert row.folder == "Pre"
    assert sum(row.answered_labels.values()) == round(PER_CLASS * (1 - row.refused_ratio)) > 0


@pytest.mark.parametrize("content", [None, b"no image"], ids=["empty", "unreadable"])
def test_a_foreign_folder_without_images_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=tmp_path.name):
        measure_foreign(BundleAnalyzer.load("demo"), [tmp_path])


def test_a_split_without_this_part_is_one_clear_error(folder: Path) -> None:
    with pytest.raises(DataError, match="no image in this part"):
        evaluate("demo", folder / "data", folder / "split.csv", Part.VALIDATION, EvaluationOptions())


def test_a_split_of_other_data_fails_before_anything_is_judged(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"names Benign/benign-0000\.png and 23 more"):
        evaluate("demo", tmp_path, folder / "split.csv")


def test_the_command_writes_json_and_figures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out"
    words: list[object] = ["evaluate", "--bundle", "demo", "--data", folder / "data", "--split", folder / "split.csv"]
    words += ["--shifts", "--draws", 1, "--foreign", folder / "foreign", "--out", out]
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert not ended.value.code
    shown = capsys.readouterr().out
    for title in ("top class right", "corner overwritten by", "all moderate at once", "foreign/white", "Brier"):
        assert title in shown
    found = Evaluation.model_validate(json.loads((out / "evaluation.json").read_text()))
    assert [row.shift for row in found.shifts or ()] == [shift.name for shift in all_shifts()]
    assert len(found.corner or ()) == 3
    for name in ("confusion", "reliability", "risk-coverage", "shifts"):
        image = cv2.imread(str(out / f"{name}.png"))
        assert image is not None
        assert image.std() > 5


def test_names_that_look_like_markup_are_shown_as_they_are(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "[red]a:smile:"
    (odd / "[").mkdir(parents=True)
    image = np.zeros((300, 400, 3), np.uint8)
    (odd / "[" / "x].png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    words = ["evaluate", "--bundle", "demo", "--data", folder / "data", "--split", folder / "split.csv"]
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in (*words, "--foreign", odd)])
    assert not ended.value.code
    assert "[red]a:smile:/[" in capsys.readouterr().out
