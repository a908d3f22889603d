"""The whole command with made-up trainings; what a fold does with its model is real."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge_agent.inference import load_bundle
from tests.train_options import recipe_without_epochs
from trainer.cli import main
from trainer.cross_validation import cross_validate as command
from trainer.cross_validation import training
from trainer.cross_validation.judging import judge_fold
from trainer.cross_validation.plan import Plan, Recipe
from trainer.cross_validation.results import CrossValidated, FoldResult, HeldOutImage
from trainer.data.dataset import read_dataset
from trainer.data.description import load_description
from trainer.data.split import Assignment, Part, in_part, read_split, write_split
from trainer.data.synthesis import synthesise
from trainer.export.quantization import Quantization
from trainer.files import write_json
from trainer.networks.backbone import build_backbone
from trainer.networks.weights import named_weights, write_weights
from trainer.training.options import TrainOptions
from trainer.training.run import RunConfig

ALPHA = 0.35
PER_CLASS = 4


def _run(*words: str | float | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn images, their split, and weights."""
    folder = tmp_path_factory.mktemp("cross-validation")
    synthesise(folder / "data", per_class=PER_CLASS, seed=1)
    dataset = read_dataset(folder / "data", load_description(None, folder / "data"))
    write_split(
        folder / "split.csv", [Assignment(file, number, Part.TRAIN) for number, file in enumerate(dataset.files)]
    )
    write_weights(folder / "weights.npz", named_weights(build_backbone(ALPHA)))
    return folder


def _command(folder: Path, out: Path, *more: str | float | Path) -> tuple[str | float | Path, ...]:
    options = ("--data", folder / "data", "--split", folder / "split.csv", "--weights", folder / "weights.npz")
    return ("cross-validate", *options, "--alpha", ALPHA, "--out", out, "--folds", 3, *more)


class MadeUpFolds:
    """Stands in for training and judging: every image is right, and the folds are counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.judged: list[int] = []
        self.fails_at: int | None = None
        monkeypatch.setattr(command, "train_fold", self._train)
        monkeypatch.setattr(command, "judge_fold", self._judge)

    def _train(self, folder: Path, *arguments: object) -> Path:
        announce = arguments[-1]
        assert callable(announce)
        announce(3, "the model")
        return folder / "model"

    def _judge(self, fold: int, run: Path, data: Path, assignments: Sequence[Assignment], seed: int) -> FoldResult:
        assert read_split(run.parent / "split.csv", data) == assignments
        if fold == self.fails_at:
            raise KeyboardInterrupt
        self.judged.append(fold)
        codes = load_description(None, data).codes
        return FoldResult(
            fold=fold,
            training_count=1,
            validation_count=1,
            model_sha256="0",
            draws=1,
            images=tuple(
                HeldOutImage(
                    path=file.path,
                    label=file.label,
                    probabilities=tuple(np.eye(len(codes))[codes.index(file.label)].tolist()),
                    reason=None,
                    shifted_right_count=1,
                    shifted_answered_count=1,
                )
                for file in in_part(assignments, Part.TEST)
            ),
        )


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> MadeUpFolds:
    return MadeUpFolds(monkeypatch)


def test_all_folds_make_one_figure(
    folder: Path, tmp_path: Path, made_up: MadeUpFolds, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*_command(folder, tmp_path / "out")) == 0
    shown = capsys.readouterr()
    assert made_up.judged == [1, 2, 3]
    found = CrossValidated.model_validate_json((tmp_path / "out" / "cross-validation.json").read_bytes())
    assert found.images_count == found.groups_count == 4 * PER_CLASS
    assert found.figures.accuracy_ratio == 1
    assert (tmp_path / "out" / "cross-validation.md").read_text().count("\n") == 2 + 3 + 1
    assert "16 images in 16 groups" in shown.out
    # Two teachers and the model of each fold.
    assert "Fold 3 of 3: the model (training 9 of 9)" in shown.err


def test_a_cross_validation_resumes_at_the_fold_where_it_ended(
    folder: Path, tmp_path: Path, made_up: MadeUpFolds, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up.fails_at = 2
    assert _run(*_command(folder, tmp_path / "out")) == 130
    assert not (tmp_path / "out" / "cross-validation.json").exists()
    made_up.fails_at = None
    capsys.readouterr()
    assert _run(*_command(folder, tmp_path / "out", "--json")) == 0
    assert made_up.judged == [1, 2, 3]
    assert json.loads(capsys.readouterr().out)["images_count"] == 4 * PER_CLASS


def test_a_damaged_fold_is_judged_again_and_other_options_are_refused(
    folder: Path, tmp_path: Path, made_up: MadeUpFolds, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*_command(folder, tmp_path / "out")) == 0
    (tmp_path / "out" / "fold-2.json").write_text("{")
    for other in (("--seed", 7), ("--epochs", 3), ("--folds", 4)):
        assert _run(*_command(folder, tmp_path / "out", *other)) == 2
        assert "a cross-validation with other options" in " ".join(capsys.readouterr().err.split())
    assert _run(*_command(folder, tmp_path / "out")) == 0
    assert made_up.judged == [1, 2, 3, 2]


def test_an_image_that_the_split_lacks_is_named_and_a_file_that_is_none_is_not(
    folder: Path, tmp_path: Path, made_up: MadeUpFolds, capsys: pytest.CaptureFixture[str]
) -> None:
    assignments = read_split(folder / "split.csv")
    missing = assignments.pop(3)
    write_split(tmp_path / "split.csv", assignments)
    (folder / "data" / "Pre" / "notes.jpg").write_text("no image")
    assert _run(*_command(folder, tmp_path / "out", "--split", tmp_path / "split.csv")) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert missing.file.path in shown
    assert "notes.jpg" not in shown
    assert _run(*_command(folder, tmp_path / "out")) == 0
    assert made_up.judged == [1, 2, 3]


def _recorded(monkeypatch: pytest.MonkeyPatch) -> list[TrainOptions | Path]:
    """Stand in for training and converting: records the requests in order, and makes the files."""
    asked: list[TrainOptions | Path] = []

    def train(options: TrainOptions) -> None:
        asked.append(options)
        Path(options.out).mkdir(parents=True)
        (Path(options.out) / "weights.npz").touch()

    def quantize(run: Path, data: Path) -> None:
        asked.append(run)
        (run / "model.tflite").touch()

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "quantize", quantize)
    return asked


def test_a_fold_is_trained_as_the_shipped_bundle_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _recorded(monkeypatch)
    plan = Plan(split_sha256="0", folds=5, seed=1, recipe=Recipe(weights="weights.npz"))
    announced: list[tuple[int, str]] = []
    train_fold = partial(
        training.train_fold,
        tmp_path / "fold-1",
        Path("data"),
        "all4",
        tmp_path / "split.csv",
        plan,
        lambda *what: announced.append(what),
    )
    assert train_fold() == tmp_path / "fold-1" / "model"
    *trained, converted = asked
    assert converted == tmp_path / "fold-1" / "model"
    options = [each for each in trained if isinstance(each, TrainOptions)]
    # The same as 'make accurate-bundle'.
    assert [(each.seed, each.variants, each.epochs) for each in options] == [(1, 16, 20), (2, 16, 20), (1, 10, 24)]
    assert [each.teacher for each in options] == [(), (), (options[0].out, options[1].out)]
    assert {each.alpha for each in options} == {1.0}
    assert {each.split for each in options} == {(tmp_path / "split.csv").as_posix()}
    assert announced == [(1, "teacher 1 of 2"), (2, "teacher 2 of 2"), (3, "the model")]
    train_fold()
    assert (len(asked), len(announced)) == (4, 3)


def test_held_out_images_are_judged_by_the_int8_file_and_the_agent(folder: Path, tmp_path: Path) -> None:
    run, data = tmp_path / "model", folder / "data"
    run.mkdir()
    model = load_bundle("demo").model_path.read_bytes()
    (run / "model.tflite").write_bytes(model)
    sha256 = hashlib.sha256(model).hexdigest()
    write_json(
        run / "quantization.json",
        Quantization(model_sha256=sha256, model_bytes=len(model), representative_count=1, operations={}, edge_tpu=None),
    )
    options = recipe_without_epochs(
        data=data.as_posix(),
        out=run.as_posix(),
        description=None,
        alpha=ALPHA,
        weights="weights.npz",
    )
    write_json(
        run / "config.json",
        RunConfig(
            options=options,
            dataset=load_description(None, data),
            dataset_sha256=sha256,
            images_count=4 * PER_CLASS,
            command="trainer train",
            commit="unknown",
            created_at=datetime.now(UTC),
            versions={},
        ),
    )
    parts = (Part.TRAIN, Part.VALIDATION, Part.TEST, Part.TEST)
    assignments = [
        Assignment(each.file, each.duplicate_group, parts[number % len(parts)])
        for number, each in enumerate(read_split(folder / "split.csv"))
    ]
    result = judge_fold(1, run, data, assignments, seed=1)
    assert result.model_sha256 == sha256
    assert [image.path for image in result.images] == [file.path for file in in_part(assignments, Part.TEST)]
    codes = load_description(None, data).codes
    # The demonstration is trained on such drawings.
    right = [codes[int(np.argmax(image.probabilities))] == image.label for image in result.images]
    assert np.mean(right) >= 0.75
    assert all(sum(image.probabilities) == pytest.approx(1) for image in result.images)
    assert all(0 <= image.shifted_right_count <= result.draws for image in result.images)
    assert np.mean([image.shifted_right_count for image in result.images]) > 0.5 * result.draws
