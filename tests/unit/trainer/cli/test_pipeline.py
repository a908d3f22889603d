"""The whole path of the trainer on a small scale: from drawn smears to a bundle that the agent loads."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from edge_agent.cameras.smear import draw_smear
from edge_agent.errors import BundleHashMismatch
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.preprocessing import preprocess
from trainer.cli import main
from trainer.data.dataset import read_dataset
from trainer.data.description import load_description
from trainer.data.split import read_split
from trainer.errors import ConversionError
from trainer.export.conversion import check_int8, convert_to_int8, operations
from trainer.export.edge_tpu import NEWEST_VERSIONS
from trainer.networks.backbone import build_backbone
from trainer.networks.network import build_network, to_network_input
from trainer.networks.weights import named_weights, write_weights
from trainer.training.run import read_config

ALPHA = 0.35


def _run(*words: str | float | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def _tint(data: Path) -> None:
    """Make the classes differ so much that even random features are useful."""
    for channel, name in enumerate(("Early", "Pre", "Pro")):
        for path in (data / name).iterdir():
            image = cv2.imread(str(path))
            assert image is not None
            tint = 255 * np.eye(3)[channel]
            cv2.imwrite(str(path), (0.3 * image + 0.7 * tint).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set, random weights, a run and its bundle."""
    folder = tmp_path_factory.mktemp("trainer")
    data, run, bundle, weights = (folder / name for name in ("data", "run", "bundle", "weights.npz"))
    assert _run("synth", "--out", data, "--per-class", 24, "--seed", 3) == 0
    _tint(data)
    keras.utils.set_random_seed(2)
    backbone = build_backbone(ALPHA)
    # Random kernels alone would let the signal fade, so BatchNorm takes its statistics from the data.
    fields = read_dataset(data, load_description(None, data)).fields[::6]
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    backbone(to_network_input(fields), training=True)
    write_weights(weights, named_weights(backbone))
    training = (
        "train",
        "--data",
        data,
        "--out",
        run,
        "--weights",
        weights,
        "--alpha",
        ALPHA,
        "--variants",
        2,
        "--epochs",
        0,
    )
    assert _run(*training, "--test-share", 0.25, "--validation-share", 0.25) == 0
    assert _run("quantize", "--run", run, "--data", data) == 0
    audit = folder / "audit"
    with pytest.MonkeyPatch.context() as patch:
        # Enough to show that the figures reach the cards.
        patch.setattr("trainer.evaluation.audit._TREES", 20)
        assert _run("audit", "--data", data, "--split", run / "manifest.csv", "--out", audit) == 0
    making = ("bundle", "--run", run, "--data", data, "--out", bundle, "--audit", audit / "audit.json")
    # Random features are right too rarely for a bundle that gives labels.
    assert _run(*making, "--name", "tiny", "--version", "0.0.1", "--provisional") == 0
    return folder


def test_the_bundle_verifies_in_the_agents_own_loader(folder: Path) -> None:
    bundle = load_bundle(folder / "bundle")
    Classifier(bundle).verify_golden()
    assert bundle.manifest.demonstration
    assert bundle.manifest.preprocessing.id == "rgb@1"
    assert bundle.manifest.um_per_pixel == pytest.approx(0.47)
    assert [label.malignant for label in bundle.manifest.labels] == [False, True, True, True]


def test_the_bundle_and_its_card_know_how_the_training_images_look(folder: Path) -> None:
    found = load_bundle(folder / "bundle").manifest.appearance
    assert found is not None
    assert 0 < found.images_count <= sum(each.part == "train" for each in read_split(folder / "run" / "manifest.csv"))
    assert f"each over {found.images_count} training images" in (folder / "bundle" / "card.md").read_text()


def test_the_cards_say_what_the_audit_found(folder: Path) -> None:
    audit = json.loads((folder / "audit" / "audit.json").read_text())
    for name in ("card.md", "data.md"):
        card = (folder / "bundle" / name).read_text()
        for clue in audit["clues"]:
            assert f"| {clue['name']} | {100 * clue['accuracy_ratio']:.2f} % |" in card


def test_a_changed_file_of_the_bundle_is_noticed(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder / "bundle", tmp_path / "bundle"))
    (copy / "card.md").write_text("better figures")
    with pytest.raises(BundleHashMismatch):
        load_bundle(copy)


def test_the_input_covers_all_pixel_values(folder: Path) -> None:
    declared = load_bundle(folder / "bundle").manifest.input
    assert declared.scale == pytest.approx(1 / 127.5, rel=1e-4)
    assert declared.zero_point in (-1, 0)


def test_the_map_explains_the_logits(folder: Path) -> None:
    classifier = Classifier(load_bundle(folder / "bundle"))
    field, _ = draw_smear(np.random.default_rng(77), "pre-b")
    judged = classifier.classify(preprocess(field, "rgb@1", "median3"))
    assert judged.class_activation_map.shape == (7, 7, 4)
    assert judged.features.shape == (1280,)
    spread = float(np.ptp(judged.class_activation_map))
    np.testing.assert_allclose(judged.class_activation_map.mean(axis=(0, 1)), judged.logits, atol=0.02 * spread)


def test_the_file_uses_only_ops_that_every_runtime_has(folder: Path) -> None:
    found = operations((folder / "bundle" / "model.tflite").read_bytes())
    assert found.keys() <= NEWEST_VERSIONS.keys()
    assert all(version <= NEWEST_VERSIONS[name] for name, version in found.items())


def test_quantizing_says_what_the_file_is(folder: Path) -> None:
    said = json.loads((folder / "run" / "quantization.json").read_text())
    model = (folder / "bundle" / "model.tflite").read_bytes()
    assert said["model_sha256"] == hashlib.sha256(model).hexdigest()
    assert said["model_bytes"] == len(model)
    assert said["operations"] == operations(model)
    # Not more images than the run trains on.
    assert said["representative_count"] == 48


def test_a_run_is_quantized_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "run" / "model.tflite").read_bytes()
    assert _run("quantize", "--run", folder / "run", "--data", folder / "data") == 2
    assert "quantized already" in capsys.readouterr().err
    assert (folder / "run" / "model.tflite").read_bytes() == before


def test_a_run_without_an_int8_file_makes_no_bundle(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(folder / "run", tmp_path / "run"))
    (run / "model.tflite").unlink()
    words = ("--data", folder / "data", "--out", tmp_path / "b", "--name", "x", "--version", "0.0.1")
    assert _run("bundle", "--run", run, *words) == 2
    assert "trainer quantize" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("operation", "complaint"),
    [(keras.ops.erf, "Erf"), (keras.ops.softmax, "SOFTMAX")],
    ids=["no int8 kernel", "not one of the few"],
)
def test_a_network_with_another_op_is_refused(operation: Callable[[object], object], complaint: str) -> None:
    inputs = keras.Input((224, 224, 3))
    # A single convolution in place of the backbone converts faster.
    backbone = keras.Model(inputs, keras.layers.Conv2D(8, 32, strides=32, name="only")(inputs))
    network = build_network(backbone, 2, "only")
    outputs = network(inputs)
    outputs["logits"] = operation(outputs["logits"])
    with pytest.raises(ConversionError, match=complaint):
        convert_to_int8(keras.Model(inputs, outputs), np.zeros((2, 224, 224, 3), np.uint8))


def test_a_float_file_is_refused(folder: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    inputs = keras.Input((224, 224, 3), batch_size=1)
    converter = tf.lite.TFLiteConverter.from_keras_model(
        keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    )
    with pytest.raises(ConversionError, match="not an integer"):
        check_int8(converter.convert())


def test_evaluation_judges_the_test_images_by_the_int8_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = folder / "run" / "manifest.csv"
    assert _run("evaluate", "--bundle", folder / "bundle", "--data", folder / "data", "--split", split, "--json") == 0
    evaluation = json.loads(capsys.readouterr().out)
    figures, parity = evaluation["figures"], evaluation["parity"]
    assert figures["images_count"] == sum(each.part == "test" for each in read_split(split)) == 24
    # Chance is 0.25. Random features are poor, and close calls depend on rounding; mixed-up labels, or an input that is
    # scaled differently than in training, would fall to chance.
    assert figures["accuracy_ratio"] > 0.4
    assert parity["agreement_ratio"] > 0.5
    assert f"{100 * figures['accuracy_ratio']:.2f} %" in (folder / "bundle" / "card.md").read_text()


def test_evaluation_prints_a_table_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = folder / "run" / "manifest.csv"
    assert _run("evaluate", "--bundle", folder / "bundle", "--data", folder / "data", "--split", split) == 0
    assert "malignant recall" in capsys.readouterr().out


def test_a_run_says_how_it_was_made(folder: Path) -> None:
    config = read_config(folder / "run")
    manifest = load_bundle(folder / "bundle").manifest
    assert manifest.training.command == config.command
    assert "--test-share 0.25" in config.command
    assert config.versions["keras"] == keras.__version__
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["images_count"] == {"train": 48, "val": 24, "test": 24}


def test_training_again_with_the_runs_split_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    training = ("train", "--data", folder / "data", "--weights", folder / "weights.npz", "--alpha", ALPHA)
    split = folder / "run" / "manifest.csv"
    assert _run(*training, "--variants", 2, "--epochs", 0, "--split", split, "--out", tmp_path / "again") == 0
    assert (tmp_path / "again" / "manifest.csv").read_text() == split.read_text()
    with np.load(tmp_path / "again" / "weights.npz") as again, np.load(folder / "run" / "weights.npz") as first:
        np.testing.assert_allclose(
            again["class_activation_map/kernel"], first["class_activation_map/kernel"], atol=1e-4
        )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("train", "--data", "none", "--out", "run", "--weights", "w.npz"), "data_invalid"),
        (("quantize", "--run", "none", "--data", "d"), "run_invalid"),
        (
            ("bundle", "--run", "none", "--data", "d", "--out", "b", "--name", "x", "--version", "0.0.1"),
            "run_invalid",
        ),
        (("evaluate", "--bundle", "none", "--data", "d", "--split", "s.csv"), "bundle_missing"),
    ],
    ids=["no data", "no run to quantize", "no run to bundle", "no bundle"],
)
def test_what_a_user_can_correct_is_one_error_and_exit_2(
    words: tuple[str, ...],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(*words) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert "Traceback" not in shown


def test_a_second_run_does_not_overwrite_the_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "run" / "config.json").read_text()
    training = ("train", "--data", folder / "data", "--weights", folder / "weights.npz", "--alpha", ALPHA)
    assert _run(*training, "--out", folder / "run") == 2
    assert "already contains a finished run" in capsys.readouterr().err
    assert (folder / "run" / "config.json").read_text() == before
