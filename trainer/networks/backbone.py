"""MobileNetV2 and EfficientNet-Lite0 for transfer and full-integer conversion, with Keras' layer names of MobileNetV2.

MobileNetV2 (Sandler et al., 2018) differs from ``keras.applications.MobileNetV2`` in one thing: stride-2 convolutions
pad by themselves ("same"), which for even sizes is what Keras' explicit ZeroPadding2D does. The converted file then
has no PAD ops. EfficientNet-Lite0 (Google, 2020) is EfficientNet-B0 (Tan and Le, 2019) without squeeze-and-excitation
and with ReLU6, so that it can be int8: the same kinds of blocks in another number, some of them with 5x5 kernels.

Weights are exchanged as ``.npz`` files with keys ``layer/variable``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import keras

from trainer.errors import WeightsError
from trainer.networks.efficientnet_lite import lite0_weights
from trainer.networks.weights import BATCH_NORM_EPSILON, Weights, named_weights, read_weights, set_weights
from trainer.spec import IMAGENET, INPUT_NAME, INPUT_SIZE_PX, Network

_BATCH_NORM_MOMENTUM = 0.999


class _Stage(NamedTuple):
    expansion: int
    channels: int
    """At alpha 1."""
    blocks: int
    stride: int
    """Stride of the first block; the others have 1."""
    kernel_px: int = 3


_STAGES = {
    # Table 2 of the paper.
    Network.MOBILENET_V2: (
        _Stage(1, 16, 1, 1),
        _Stage(6, 24, 2, 2),
        _Stage(6, 32, 3, 2),
        _Stage(6, 64, 4, 2),
        _Stage(6, 96, 3, 1),
        _Stage(6, 160, 3, 2),
        _Stage(6, 320, 1, 1),
    ),
    # Table 1 of EfficientNet's paper.
    Network.EFFICIENTNET_LITE0: (
        _Stage(1, 16, 1, 1),
        _Stage(6, 24, 2, 2),
        _Stage(6, 40, 2, 2, 5),
        _Stage(6, 80, 3, 2),
        _Stage(6, 112, 3, 1, 5),
        _Stage(6, 192, 4, 2, 5),
        _Stage(6, 320, 1, 1),
    ),
}


def build_backbone(alpha: float, network: Network = Network.MOBILENET_V2, side_px: int = INPUT_SIZE_PX) -> keras.Model:
    """A network without its top, randomly initialised: float32 (n, side_px, side_px, 3) in [-1, 1] to its last map.

    ``side_px`` is a multiple of 32, and the map (n, side_px / 32, side_px / 32, d): (n, 7, 7, d) for fields.
    """
    inputs = keras.Input((side_px, side_px, 3), name=INPUT_NAME)
    x = keras.layers.Conv2D(_channels(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="Conv1")(inputs)
    x = _relu6(_batch_norm(x, "bn_Conv1"), "Conv1_relu")
    block = 0
    for stage in _STAGES[network]:
        channels = _channels(stage.channels * alpha)
        for repeat in range(stage.blocks):
            x = _inverted_residual(x, block, stage, channels, stage.stride if repeat == 0 else 1)
            block += 1
    # The paper widens the last layer with alpha but never narrows it.
    last = _channels(1280 * alpha) if alpha > 1.0 else 1280
    x = keras.layers.Conv2D(last, 1, use_bias=False, name="Conv_1")(x)
    x = _relu6(_batch_norm(x, "Conv_1_bn"), "out_relu")
    return keras.Model(inputs, x, name=f"{network.replace('-', '_')}_{alpha}")


def load_backbone(
    alpha: float, weights: str, network: Network = Network.MOBILENET_V2, side_px: int = INPUT_SIZE_PX
) -> keras.Model:
    """The backbone with ``weights``: a file's path, or "imagenet" for those that are available without a file.

    Files are ``.npz`` or, for EfficientNet-Lite0, also the original in PyTorch's format. Raises ``WeightsError``.
    """
    backbone = build_backbone(alpha, network, side_px)
    if network is Network.EFFICIENTNET_LITE0:
        set_weights(backbone, lite0_weights(weights))
    else:
        set_weights(backbone, _imagenet_weights(alpha) if weights == IMAGENET else read_weights(Path(weights)))
    return backbone


def _imagenet_weights(alpha: float) -> Weights:
    try:
        original = keras.applications.MobileNetV2(
            (INPUT_SIZE_PX, INPUT_SIZE_PX, 3), alpha=alpha, include_top=False, weights=IMAGENET
        )
    except Exception as error:  # Keras raises a bare Exception when a download fails.
        raise WeightsError(f"the ImageNet weights for alpha {alpha} cannot be downloaded: {error}.") from error
    return named_weights(original)


def _channels(wanted: float) -> int:
    """Nearest multiple of eight, never more than a tenth below ``wanted`` (as in the paper's own code)."""
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _batch_norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, momentum=_BATCH_NORM_MOMENTUM, name=name)(x)


def _relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.ReLU(6.0, name=name)(x)


def _inverted_residual(
    x: keras.KerasTensor, block: int, stage: _Stage, channels: int, stride: int
) -> keras.KerasTensor:
    prefix = f"block_{block}" if block else "expanded_conv"
    shortcut = x
    if stage.expansion != 1:
        expanded = stage.expansion * x.shape[-1]
        x = keras.layers.Conv2D(expanded, 1, use_bias=False, name=f"{prefix}_expand")(x)
        x = _relu6(_batch_norm(x, f"{prefix}_expand_BN"), f"{prefix}_expand_relu")
    x = keras.layers.DepthwiseConv2D(
        stage.kernel_px, strides=stride, padding="same", use_bias=False, name=f"{prefix}_depthwise"
    )(x)
    x = _relu6(_batch_norm(x, f"{prefix}_depthwise_BN"), f"{prefix}_depthwise_relu")
    x = keras.layers.Conv2D(channels, 1, use_bias=False, name=f"{prefix}_project")(x)
    x = _batch_norm(x, f"{prefix}_project_BN")
    if stride == 1 and shortcut.shape[-1] == channels:
        return keras.layers.Add(name=f"{prefix}_add")([shortcut, x])
    return x
