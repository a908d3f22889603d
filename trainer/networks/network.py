"""The whole network: backbone, 1x1 convolution to the classes, global average.

Averaging and a linear head commute, so the convolution's map *is* the class activation map
(Zhou et al., 2016) of the logits, and a linear classifier fitted on averaged features is its kernel.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.networks.backbone import build_backbone
from trainer.networks.weights import read_weights, set_weights
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, LOGITS, MIDDLE_MAP, Network, middle_layer


def build_network(backbone: keras.Model, classes_count: int, middle: str) -> keras.Model:
    """Model of one input, float32 (n, 224, 224, 3) in [-1, 1], and four outputs by name, all float32.

    ``logits`` (n, c), ``class_activation_map`` (n, 7, 7, c), ``features`` (n, d) and ``middle_map`` (n, 14, 14, m):
    the logits are the average of the map, the features the average of the backbone's last map, the middle map
    is the output of the backbone's layer ``middle``.
    """
    last = backbone.output
    activation_map = keras.layers.Conv2D(classes_count, 1, name=CLASS_ACTIVATION_MAP)(last)
    return keras.Model(
        backbone.input,
        {
            LOGITS: keras.layers.GlobalAveragePooling2D(name=LOGITS)(activation_map),
            CLASS_ACTIVATION_MAP: activation_map,
            FEATURES: keras.layers.GlobalAveragePooling2D(name=FEATURES)(last),
            MIDDLE_MAP: backbone.get_layer(middle).output,
        },
        name="leukoscope",
    )


def set_head(network: keras.Model, coefficients: NDArray[np.float32], intercept: NDArray[np.float32]) -> None:
    """Set the 1x1 convolution to a linear classifier on pooled features, with weights (c, d) and (c,)."""
    network.get_layer(CLASS_ACTIVATION_MAP).set_weights([coefficients.T[None, None], intercept])


def to_network_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Preprocessed uint8 images as the network takes them: (x - 127.5) / 127.5, float32."""
    return (images.astype(np.float32) - 127.5) / 127.5


def restore_network(
    weights: Path, alpha: float, classes_count: int, kind: Network = Network.MOBILENET_V2
) -> keras.Model:
    """The network of a run from its ``weights.npz``. Raises ``WeightsError``."""
    network = build_network(build_backbone(alpha, kind), classes_count, middle_layer(alpha, kind))
    set_weights(network, read_weights(weights))
    return network


def predict_logits(network: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Float logits (n, c) of preprocessed uint8 images (n, 224, 224, 3), 32 at a time."""
    return np.concatenate(
        [
            np.asarray(network.predict_on_batch(to_network_input(images[start : start + 32]))[LOGITS])
            for start in range(0, len(images), 32)
        ]
    )
