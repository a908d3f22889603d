"""Bundles that their own held-out images do not support: from labelled images to answers, on a small scale."""

from __future__ import annotations

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from edge_agent.analysis import Analyzer
from edge_agent.cameras.frame import Encoded, frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.contracts import Outcome, Reason
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.settings import QualityLimits
from trainer.cli import main
from trainer.networks.backbone import build_backbone
from trainer.networks.network import to_network_input
from trainer.networks.weights import named_weights, write_weights

ALPHA = 0.35
CLASSES = ("heads", "tails")


def _run(*words: str | float | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def _describe(data: Path) -> None:
    """Write two classes without saying that they are drawn: only the record can show that the bundle is useless."""
    classes = "".join(
        f'[[classes]]\nfolder = "{name}"\ncode = "{name}"\ndisplay_name = "{name}"\nmeaning = "{name}"\n'
        f"malignant = {'true' if name == 'tails' else 'false'}\n"
        for name in CLASSES
    )
    (data / "dataset.toml").write_text(
        'name = "coins"\nsource = "drawn"\nlicence = "none"\nlimits = "all"\nsynthetic = false\n' + classes
    )


def _draw(data: Path, labels: list[str], rng: np.random.Generator) -> None:
    for name in CLASSES:
        (data / name).mkdir(parents=True)
    for number, label in enumerate(labels):
        picture, _ = draw_smear(rng, "pre-b")
        cv2.imwrite(str(data / label / f"{number}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    _describe(data)


def _train(folder: Path) -> Path:
    """A quantized run on ``folder / "data"``, with random weights."""
    data, run, weights = folder / "data", folder / "run", folder / "weights.npz"
    keras.utils.set_random_seed(2)
    backbone = build_backbone(ALPHA)
    # Random kernels alone would let the signal fade, so BatchNorm takes its statistics from the data.
    pictures = [np.asarray(cv2.imread(str(path)))[..., ::-1] for path in sorted(data.glob("*/*.png"))[:16]]
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    backbone(to_network_input(np.stack(pictures)), training=True)
    write_weights(weights, named_weights(backbone))
    training = ("train", "--data", data, "--out", run, "--weights", weights, "--alpha", ALPHA)
    sizes = ("--variants", 2, "--epochs", 0, "--test-share", 0.25, "--validation-share", 0.25)
    assert _run(*training, *sizes) == 0
    assert _run("quantize", "--run", run, "--data", data) == 0
    return folder


def _bundle(folder: Path, out: Path, *more: str) -> int:
    making = ("bundle", "--run", folder / "run", "--data", folder / "data", "--out", out)
    return _run(*making, "--name", "coins", "--version", "0.0.1", *more)


@pytest.fixture(scope="module")
def coins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on sixty images whose labels are the flips of a coin."""
    folder = tmp_path_factory.mktemp("coins")
    rng = np.random.default_rng(13)
    _draw(folder / "data", [CLASSES[flip] for flip in rng.integers(2, size=60)], rng)
    return _train(folder)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on four images of each class."""
    folder = tmp_path_factory.mktemp("few")
    _draw(folder / "data", [CLASSES[number % 2] for number in range(8)], np.random.default_rng(14))
    return _train(folder)


def test_labels_by_coin_flip_make_no_bundle(coins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _bundle(coins, tmp_path / "bundle") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "bundle_unproven" in said
    assert "held-out images are right" in said
    assert "shuffled labellings fit the answers as well" in said
    assert "--provisional" in said
    assert not (tmp_path / "bundle").exists()


def test_four_images_of_each_class_make_no_bundle(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _bundle(few, tmp_path / "bundle") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "bundle_unproven" in said
    for name in CLASSES:
        assert f"Class '{name}' has 4 images" in said
    assert not (tmp_path / "bundle").exists()


def test_a_provisional_bundle_never_classifies(coins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _bundle(coins, tmp_path / "bundle", "--provisional") == 0
    assert "PROVISIONAL" in capsys.readouterr().err
    bundle = load_bundle(tmp_path / "bundle")
    assert not bundle.manifest.demonstration
    pictures = [frame_now("camera0", Encoded(each.read_bytes())) for each in (coins / "data").glob("*/*.png")]
    answers = [Analyzer(Classifier(bundle), QualityLimits()).analyse(picture) for picture in pictures]
    assert len(answers) == 60
    assert all(each.provisional for each in answers)
    assert Outcome.CLASSIFIED not in {each.outcome for each in answers}
    withheld = [each for each in answers if each.reason is Reason.MODEL_UNPROVEN]
    # Otherwise the test would only show that every picture is refused for another reason.
    assert withheld
    assert all(each.label is None and each.malignant is None and each.probabilities is None for each in withheld)
