"""A killed training is resumed by the same command."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.cli import main
from trainer.data.synthesis import synthesise
from trainer.errors import RunError
from trainer.networks.backbone import build_backbone
from trainer.networks.weights import named_weights, write_weights
from trainer.training import train as training
from trainer.training.options import TrainOptions
from trainer.training.run import CACHE, CHECKPOINT, CONFIG, CURVES, METRICS, WEIGHTS, read_config
from trainer.training.teachers import average_networks

ALPHA = 0.35
EPOCHS = 4


def _command(folder: Path, out: Path, *more: str) -> list[str]:
    words = ["train", "--data", folder / "data", "--weights", folder / "weights.npz", "--alpha", ALPHA, "--out", out]
    words += ["--variants", 2, "--epochs", EPOCHS, "--test-share", 0.25, "--validation-share", 0.25, *more]
    return [str(word) for word in words]


def _run(words: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drawn data set and random weights."""
    folder = tmp_path_factory.mktemp("resuming")
    assert _run(["synth", "--out", str(folder / "data"), "--per-class", "12", "--seed", "3"]) == 0
    keras.utils.set_random_seed(2)
    write_weights(folder / "weights.npz", named_weights(build_backbone(ALPHA)))
    return folder


@pytest.fixture(scope="module")
def killed(folder: Path) -> Path:
    """A run whose process was killed after its first epoch."""
    out = folder / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer.cli", *_command(folder, out)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert process.stderr is not None
    with process.stderr as said:
        lines = []
        for line in said:
            lines.append(line)
            if line.startswith("Epoch 1:"):
                process.send_signal(signal.SIGKILL)
                break
    assert process.wait() == -signal.SIGKILL, "".join(lines)
    return out


def test_a_killed_training_resumes_and_ends_where_an_unbroken_one_ends(
    folder: Path, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (killed / CHECKPOINT).exists()
    assert not (killed / WEIGHTS).exists()
    config = (killed / CONFIG).read_bytes()

    assert _run([*_command(folder, killed)[:-4], "--test-share", "0.25", "--validation-share", "0.2"]) == 2
    assert "unfinished run with other options" in capsys.readouterr().err

    assert _run(_command(folder, killed)) == 0
    shown = capsys.readouterr().err
    assert "Resuming after epoch" in shown
    assert "Epoch 1:" not in shown
    assert (killed / CONFIG).read_bytes() == config

    unbroken = folder / "unbroken"
    assert _run(_command(folder, unbroken, "--split", str(killed / "manifest.csv"))) == 0
    with np.load(killed / WEIGHTS) as one, np.load(unbroken / WEIGHTS) as other:
        for key in one.files:
            np.testing.assert_allclose(one[key], other[key], rtol=1e-3, atol=1e-4, err_msg=key)


def _move(data: Path) -> None:
    moved = next((data / "Early").iterdir())
    moved.rename(data / "Pre" / moved.name)


def _describe_anew(data: Path) -> None:
    described = data / "dataset.toml"
    described.write_text(described.read_text().replace("malignant = true", "malignant = false"))


@pytest.mark.parametrize("correct", [_move, _describe_anew], ids=["another class", "another meaning"])
def test_a_killed_training_does_not_go_on_with_labels_that_were_corrected_since(
    correct: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise InterruptedError("killed")

    data = tmp_path / "data"
    synthesise(data, per_class=4, seed=3)
    for name in ("load_backbone", "build_network"):
        monkeypatch.setattr(training, name, lambda *_: None)
    monkeypatch.setattr(training, "cache_maps", killed)
    options = TrainOptions(
        data=str(data),
        out=str(tmp_path / "run"),
        description=None,
        alpha=ALPHA,
        weights="none.npz",
        preprocessing="rgb@1",
        denoise="median3",
        seed=1,
        test_share=0.25,
        validation_share=0.25,
        variants=1,
        epochs=1,
        teacher=(),
        split=None,
    )
    for _ in range(2):
        with pytest.raises(InterruptedError):
            training.train(options)
    correct(data)
    with pytest.raises(RunError, match="other options or images"):
        training.train(options)


def test_a_finished_run_keeps_its_curves_and_nothing_that_was_only_needed_on_the_way(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert _run(_command(folder, out)) == 0
    with (out / CURVES).open(newline="") as file:
        curves = list(csv.DictReader(file))
    assert [int(each["epoch"]) for each in curves] == list(range(EPOCHS + 1))
    assert all(float(each["training_loss"]) > 0 for each in curves[1:])
    assert (out / METRICS).exists()
    assert not (out / CHECKPOINT).exists()
    assert not (out / CACHE).exists()


def test_the_layers_behind_familiarity_keep_their_imagenet_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Random weights gain nothing, so the start would be kept: make it look as if there were a gain.
    losses = (1 / (1 + number) for number in count())
    monkeypatch.setattr("trainer.training.finetune.validate", lambda *_: (loss := next(losses), 0.5, loss, 0.5))
    out = tmp_path / "run"
    assert _run(_command(folder, out)) == 0
    trained = {}
    with np.load(folder / "weights.npz") as before, np.load(out / WEIGHTS) as after:
        for key in before.files:
            layer = key.removeprefix("block_").split("_")[0]
            frozen = not (layer.isdigit() and int(layer) > 5) and not key.startswith("Conv_1")
            same = np.array_equal(before[key], after[key])
            if frozen:
                assert same, key
            trained[key] = not same
    assert trained["block_6_expand/kernel"]
    assert trained["block_16_project/kernel"]
    assert trained["Conv_1/kernel"]


def test_a_teacher_that_was_trained_on_held_out_images_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = tmp_path / "teacher"
    assert _run([*_command(folder, teacher), "--seed", "5", "--epochs", "0"]) == 0
    assert _run([*_command(folder, tmp_path / "other"), "--teacher", str(teacher)]) == 2
    assert "trained on images that are kept" in capsys.readouterr().err
    same = ["--split", str(teacher / "manifest.csv"), "--teacher", str(teacher)]
    assert _run(_command(folder, tmp_path / "same", *same)) == 0


def test_several_teachers_teach_by_their_mean(folder: Path, tmp_path: Path) -> None:
    one, two, taught = tmp_path / "one", tmp_path / "two", tmp_path / "taught"
    assert _run([*_command(folder, one), "--epochs", "0"]) == 0
    split = ["--split", str(one / "manifest.csv")]
    assert _run([*_command(folder, two, *split), "--seed", "2", "--epochs", "0"]) == 0
    asked = ["--teacher", str(one), "--teacher", str(two)]
    assert _run(_command(folder, taught, *split, *asked)) == 0
    command = read_config(taught).command
    assert command.count(" && ") == 2
    assert " ".join(asked) in command

    image = np.full((1, 2, 2, 3), 1, np.float32)
    networks = []
    for logit in (1.0, 4.0):
        start = keras.Input((2, 2, 3))
        networks.append(keras.Model(start, keras.ops.sum(start, axis=(1, 2)) * logit))
    assert np.allclose(average_networks(networks).predict_on_batch(image), 4 * 2.5)
