"""The part of the network behind the frozen layers."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.spec import FEATURES, LOGITS

BATCH = 64

Floats = NDArray[np.float32]


def build_tail(network: keras.Model, middle: str) -> keras.Model:
    """The part of ``network`` behind ``middle``: from its map to ``logits`` and ``features``. Layers are shared."""
    outputs = {name: network.output[name] for name in (LOGITS, FEATURES)}
    return keras.Model(network.get_layer(middle).output, outputs, name="tail")


def predict(tail: keras.Model, maps: NDArray[np.floating]) -> dict[str, Floats]:
    """Outputs of ``tail`` for middle maps (n, h, w, m), float32, by name."""
    parts = [
        tail.predict_on_batch(maps[start : start + BATCH].astype(np.float32)) for start in range(0, len(maps), BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
