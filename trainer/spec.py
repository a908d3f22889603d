"""The sizes and names on which data, network, converted file and manifest agree."""

from __future__ import annotations

from enum import StrEnum

INPUT_SIZE_PX = 224
ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
"""Widths for which ImageNet weights of MobileNetV2 exist."""
IMAGENET = "imagenet"
"""Stands in for a path of weights: Keras' own download or, for EfficientNet-Lite0, the installed package."""


class Network(StrEnum):
    """A network that can be trained and converted."""

    MOBILENET_V2 = "mobilenet-v2"
    EFFICIENTNET_LITE0 = "efficientnet-lite0"


SIGNATURE = "serving_default"
INPUT_NAME = "image"
LOGITS = "logits"
CLASS_ACTIVATION_MAP = "class_activation_map"
FEATURES = "features"
MIDDLE_MAP = "middle_map"


def middle_layer(alpha: float, network: Network = Network.MOBILENET_V2) -> str:
    """The layer on which familiarity is computed: it and all before it keep their ImageNet weights.

    It ends the first stage of 14x14 positions. A narrow network has too few trainable weights behind that layer, so
    fewer of its blocks are frozen.
    """
    if network is Network.EFFICIENTNET_LITE0:
        return "block_7_add"
    return "block_9_add" if alpha >= 0.75 else "block_5_add"
