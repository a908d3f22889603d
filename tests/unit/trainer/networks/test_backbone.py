from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.errors import WeightsError
from trainer.networks.backbone import build_backbone, load_backbone
from trainer.networks.weights import named_weights, read_weights, set_weights, write_weights

ALPHA = 0.35
EPSILON = 1e-3


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    """Weights under which activations neither vanish nor explode, BatchNorm with all its parameters in use."""
    rng = np.random.default_rng(0)
    weights = {}
    for key, value in named_weights(build_backbone(ALPHA)).items():
        if key.endswith("kernel"):
            weights[key] = rng.normal(0, (2 / np.prod(value.shape[:3])) ** 0.5, value.shape)
        elif key.endswith(("gamma", "moving_variance")):
            weights[key] = rng.uniform(0.7, 1.4, value.shape)
        else:
            weights[key] = rng.normal(0, 0.3, value.shape)
    return {key: value.astype(np.float32) for key, value in weights.items()}


def _fold(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fold BatchNorm into the convolution before it, as converters do."""
    folded = {}
    for key, kernel in weights.items():
        layer, variable = key.split("/")
        if variable != "kernel":
            continue
        norm = {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}.get(layer, f"{layer}_BN")
        factor = weights[f"{norm}/gamma"] / np.sqrt(weights[f"{norm}/moving_variance"] + EPSILON)
        along = factor[:, None] if layer.endswith("depthwise") else factor
        folded[key] = kernel * along
        folded[f"{layer}/bias"] = weights[f"{norm}/beta"] - weights[f"{norm}/moving_mean"] * factor
    return folded


def _image() -> np.ndarray:
    return np.random.default_rng(3).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)


@pytest.mark.parametrize("alpha", [0.35, 1.0, 1.4])
def test_the_architecture_is_the_one_of_keras(alpha: float) -> None:
    theirs = keras.applications.MobileNetV2((224, 224, 3), alpha=alpha, include_top=False, weights=None)
    assert {key: value.shape for key, value in named_weights(build_backbone(alpha)).items()} == {
        key: value.shape for key, value in named_weights(theirs).items()
    }


def test_the_outputs_are_those_of_keras_with_the_same_weights(weights: dict[str, np.ndarray]) -> None:
    theirs = keras.applications.MobileNetV2((224, 224, 3), alpha=ALPHA, include_top=False, weights=None)
    ours = build_backbone(ALPHA)
    set_weights(theirs, weights)
    set_weights(ours, weights)
    expected = np.asarray(theirs(_image()))
    assert expected.std() > 0.1
    np.testing.assert_allclose(np.asarray(ours(_image())), expected, atol=1e-4)


def test_folded_weights_compute_what_they_were_folded_from(weights: dict[str, np.ndarray]) -> None:
    original, folded = build_backbone(ALPHA), build_backbone(ALPHA)
    set_weights(original, weights)
    set_weights(folded, _fold(weights))
    np.testing.assert_allclose(np.asarray(folded(_image())), np.asarray(original(_image())), atol=5e-3)


def test_weights_survive_their_file_and_the_older_name_of_depthwise_kernels(
    tmp_path: Path, weights: dict[str, np.ndarray]
) -> None:
    older = {
        key.replace("/kernel", "/depthwise_kernel") if "depthwise/" in key else key: value
        for key, value in weights.items()
    }
    write_weights(tmp_path / "weights.npz", older)
    loaded = named_weights(load_backbone(ALPHA, str(tmp_path / "weights.npz")))
    assert loaded.keys() == weights.keys()
    assert all(np.array_equal(loaded[key], weights[key]) for key in weights)


def test_weights_of_another_width_are_refused(weights: dict[str, np.ndarray]) -> None:
    with pytest.raises(WeightsError, match="has shape"):
        set_weights(build_backbone(1.0), weights)


def test_a_missing_weight_is_named(weights: dict[str, np.ndarray]) -> None:
    incomplete = {key: value for key, value in weights.items() if key != "block_3_expand/kernel"}
    with pytest.raises(WeightsError, match="block_3_expand/kernel"):
        set_weights(build_backbone(ALPHA), incomplete)


def test_a_weight_without_a_place_is_named(weights: dict[str, np.ndarray]) -> None:
    with pytest.raises(WeightsError, match="block_17"):
        set_weights(build_backbone(ALPHA), {**weights, "block_17/kernel": np.zeros(1, np.float32)})


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off"], ids=["absent", "empty", "damaged"])
def test_unreadable_weights_are_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.npz"):
        load_backbone(ALPHA, str(path))


def test_damaged_weights_are_one_error(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    np.savez_compressed(path, kernel=np.zeros((50, 50), np.float32))
    content = bytearray(path.read_bytes())
    # Behind the name there are 20 bytes of extra field; what is compressed follows.
    begin = content.index(b"kernel.npy") + len(b"kernel.npy") + 20
    content[begin : begin + 10] = b"\xff" * 10
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(path)
