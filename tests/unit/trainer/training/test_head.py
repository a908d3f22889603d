from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.networks.network import build_network, set_head
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, LOGITS
from trainer.training.head import fit_head


def _clouds(classes_count: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes_count
    return (3 * np.eye(8)[labels] + rng.normal(0, 0.5, (count, 8))).astype(np.float32), labels


@pytest.mark.parametrize("classes_count", [2, 4])
def test_separable_classes_are_separated(classes_count: int) -> None:
    head, trials = fit_head(_clouds(classes_count, 200, 1), _clouds(classes_count, 80, 2))
    features, labels = _clouds(classes_count, 80, 3)
    assert head.logits(features).shape == (80, classes_count)
    assert (head.logits(features).argmax(axis=1) == labels).all()
    assert len(trials) > 1


def test_the_strength_of_the_least_validation_loss_is_kept() -> None:
    # Pure noise: everything learnt is wrong, so the strongest regularisation must win.
    rng = np.random.default_rng(0)
    noise = [(rng.normal(size=(60, 40)).astype(np.float32), rng.integers(0, 2, 60)) for _ in range(2)]
    head, trials = fit_head(noise[0], noise[1], inverse_strengths=(10.0, 1e-4))
    assert np.abs(head.coefficients).max() < 0.1
    assert trials[1].validation_log_loss < trials[0].validation_log_loss


def test_the_head_on_pooled_features_is_the_networks_convolution() -> None:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((224, 224, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(8, 32, strides=32, name="only")(inputs))
    network = build_network(backbone, 4, "only")
    head, _ = fit_head(_clouds(4, 200, 1), _clouds(4, 80, 2))
    set_head(network, head.coefficients, head.intercept)
    image = np.random.default_rng(0).uniform(-1, 1, (2, 224, 224, 3)).astype(np.float32)
    outputs = {name: np.asarray(value) for name, value in network(image).items()}
    np.testing.assert_allclose(outputs[LOGITS], head.logits(outputs[FEATURES]), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs[CLASS_ACTIVATION_MAP].mean(axis=(1, 2)), outputs[LOGITS], rtol=1e-4, atol=1e-4)
