from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.errors import OutputUnwritable, RunError
from trainer.networks.network import build_network
from trainer.spec import CLASS_ACTIVATION_MAP, LOGITS, MIDDLE_MAP
from trainer.training.batch_norm import measure_batch_norms
from trainer.training.checkpoint import read_checkpoint
from trainer.training.finetune import TrainingMaps, ValidationMaps, finetune, validate
from trainer.training.tail import build_tail, predict

MIDDLE = "middle"
IMAGES_COUNT = 150


def _network(seed: int = 0) -> keras.Model:
    """A frozen layer, and two convolutions with BatchNorm behind it."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Conv2D(6, 32, strides=32, name=MIDDLE)(inputs)
    for _ in range(2):
        x = keras.layers.Conv2D(8, 1, use_bias=False)(x)
        x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    return build_network(keras.Model(inputs, x), 3, MIDDLE)


def _maps(seed: int, labels: np.ndarray) -> np.ndarray:
    """Middle maps whose classes differ by which two channels are large, of either sign: no linear head works."""
    rng = np.random.default_rng(seed)
    signs = rng.choice((-2.0, 2.0), len(labels))
    maps = rng.normal(0, 0.3, (len(labels), 7, 7, 6))
    for map_, label, sign in zip(maps, labels, signs, strict=True):
        map_[..., 2 * label : 2 * label + 2] += sign
    return maps.astype(np.float16)


class _Material:
    def __init__(self, folder: Path) -> None:
        self.labels = np.arange(IMAGES_COUNT) % 3
        paths = [folder / f"{number}.npy" for number in range(4)]
        for seed, path in enumerate(paths):
            np.save(path, _maps(seed, self.labels))
        wanted = np.eye(3, dtype=np.float32)[self.labels]
        self.training = TrainingMaps(paths[:2], [wanted, wanted], np.ones(IMAGES_COUNT, np.float32))
        self.check = ValidationMaps(paths[2], paths[3:], self.labels)
        self.checkpoint = folder / "checkpoint.npz"

    def train(self, tail: keras.Model, epochs: int) -> int:
        history = finetune(tail, self.training, self.check, self.checkpoint, epochs=epochs, seed=1)
        return history[-1].epoch


@pytest.fixture
def material(tmp_path: Path) -> _Material:
    return _Material(tmp_path)


def _logits(tail: keras.Model, material: _Material) -> np.ndarray:
    return predict(tail, np.load(material.check.clean))[LOGITS]


def test_the_tail_computes_what_the_network_computes() -> None:
    network = _network()
    images = np.random.default_rng(0).uniform(-1, 1, (3, 224, 224, 3)).astype(np.float32)
    outputs = {name: np.asarray(value) for name, value in network(images).items()}
    tail = build_tail(network, MIDDLE)
    np.testing.assert_allclose(predict(tail, outputs[MIDDLE_MAP])[LOGITS], outputs[LOGITS], atol=1e-5)


def test_measuring_batch_norms_leaves_the_function_and_normalises_the_data() -> None:
    network = _network()
    maps = _maps(5, np.arange(IMAGES_COUNT) % 3)
    tail = build_tail(network, MIDDLE)
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    rng = np.random.default_rng(1)
    for norm in norms:
        norm.set_weights([rng.uniform(0.5, 2, value.shape) for value in norm.get_weights()])
    before = predict(tail, maps)[LOGITS]
    measure_batch_norms(network, MIDDLE, maps)
    np.testing.assert_allclose(predict(tail, maps)[LOGITS], before, rtol=1e-3, atol=1e-4)
    normalised = keras.Model(network.get_layer(MIDDLE).output, [norm.output for norm in norms]).predict(maps, verbose=0)
    for norm, values in zip(norms, normalised, strict=True):
        np.testing.assert_allclose(values.mean(axis=(0, 1, 2)), np.asarray(norm.beta), atol=1e-2)
        np.testing.assert_allclose(values.std(axis=(0, 1, 2)), np.abs(np.asarray(norm.gamma)), rtol=1e-2)


def test_classes_that_the_head_cannot_separate_are_learnt(material: _Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.training.finetune.LEARNING_RATE", 0.03)
    tail = build_tail(_network(), MIDDLE)
    before = (_logits(tail, material).argmax(axis=1) == material.labels).mean()
    material.train(tail, 12)
    assert before < 0.6
    assert (_logits(tail, material).argmax(axis=1) == material.labels).mean() > 0.9


def test_frozen_layers_and_statistics_stay(material: _Material) -> None:
    network = _network()
    kept = network.get_layer(MIDDLE).get_weights()
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    statistics = [norm.get_weights()[2:] for norm in norms]
    scales = [norm.get_weights()[:2] for norm in norms]
    material.train(build_tail(network, MIDDLE), 1)
    assert all(map(np.array_equal, network.get_layer(MIDDLE).get_weights(), kept))
    for norm, before, scale in zip(norms, statistics, scales, strict=True):
        assert all(map(np.array_equal, norm.get_weights()[2:], before))
        assert not any(map(np.array_equal, norm.get_weights()[:2], scale))


def test_an_interrupted_training_resumes_and_ends_where_an_unbroken_one_ends(
    material: _Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = build_tail(_network(), MIDDLE)
    material.train(unbroken, 4)
    material.checkpoint.unlink()

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("trainer.training.finetune.console.print", stop)
        with pytest.raises(KeyboardInterrupt):
            material.train(build_tail(_network(), MIDDLE), 4)
    state = read_checkpoint(material.checkpoint)
    assert state is not None
    assert state.history[-1].epoch == 1
    taken_up = build_tail(_network(seed=7), MIDDLE)
    assert material.train(taken_up, 4) == 4
    np.testing.assert_allclose(_logits(taken_up, material), _logits(unbroken, material), rtol=1e-4, atol=1e-5)


def test_a_training_that_only_does_harm_leaves_the_start(material: _Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.training.finetune.LEARNING_RATE", 30.0)
    tail = build_tail(_network(), MIDDLE)
    before = _logits(tail, material)
    assert material.train(tail, 2) == 2
    np.testing.assert_allclose(_logits(tail, material), before, atol=1e-5)


def test_a_network_that_is_less_sure_is_not_a_worse_one(material: _Material) -> None:
    network = _network()
    tail = build_tail(network, MIDDLE)
    material.train(tail, 40)
    before = validate(tail, material.check)
    head = network.get_layer(CLASS_ACTIVATION_MAP)
    for factor in (4.0, 0.5):
        head.set_weights([factor * weights for weights in head.get_weights()])
        assert validate(tail, material.check) == pytest.approx(before, rel=1e-3)


def test_training_ends_when_validation_no_longer_gains(material: _Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.training.finetune.LEARNING_RATE", 0.0)
    monkeypatch.setattr("trainer.training.finetune.PATIENCE_EPOCHS", 2)
    assert material.train(build_tail(_network(), MIDDLE), 10) == 2


def test_the_weights_of_the_least_validation_loss_are_kept(
    material: _Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    # For images as they are and shifted, at the start and after each epoch.
    losses = iter([(1.0, 0.9, 1.0, 0.9), (0.5, 0.9, 0.6, 0.9), (0.2, 0.9, 0.2, 0.9), (0.7, 0.9, 0.8, 0.9)])
    monkeypatch.setattr("trainer.training.finetune.validate", lambda *_: next(losses))
    tail = build_tail(_network(), MIDDLE)
    material.train(tail, 3)
    state = read_checkpoint(material.checkpoint)
    assert state is not None
    assert state.best_epoch.epoch == 2
    assert all(map(np.array_equal, [np.asarray(variable) for variable in tail.trainable_variables], state.best))
    assert not all(map(np.array_equal, state.best, state.average))


def test_a_full_disk_leaves_the_last_good_checkpoint(material: _Material, monkeypatch: pytest.MonkeyPatch) -> None:
    tail = build_tail(_network(), MIDDLE)
    material.train(tail, 1)
    good = material.checkpoint.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainer.files.os.fsync", full)
    with pytest.raises(OutputUnwritable, match="No space left"):
        material.train(tail, 2)
    assert material.checkpoint.read_bytes() == good
    assert not list(material.checkpoint.parent.glob("*.part"))


def test_a_damaged_checkpoint_is_one_clear_error(material: _Material) -> None:
    material.train(build_tail(_network(), MIDDLE), 1)
    material.checkpoint.write_bytes(material.checkpoint.read_bytes()[:-200])
    with pytest.raises(RunError, match="damaged"):
        material.train(build_tail(_network(), MIDDLE), 2)
