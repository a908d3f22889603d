"""Pooled features of the frozen backbone, computed once for each variant of each image."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.preprocessing import preprocess
from trainer.network import to_network_input
from trainer.progress import track

_BATCH = 32

Vary = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


def pooled_features(
    backbone: keras.Model,
    fields: NDArray[np.uint8],
    *,
    preprocessing: str,
    denoise: str,
    vary: Vary | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Global average of the backbone's last map for each field: float32 (n, d) of uint8 RGB (n, 224, 224, 3).

    ``vary`` is applied to each field before the preprocessing, with one generator per field made from
    ``seed``, so that a result does not hang on the order of the work.
    """
    generators = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(len(fields))]
    pooled = []
    for start in track(range(0, len(fields), _BATCH), "Features of the backbone"):
        batch = [
            preprocess(vary(field, rng) if vary else field, preprocessing, denoise)
            for field, rng in zip(fields[start : start + _BATCH], generators[start : start + _BATCH], strict=True)
        ]
        maps = backbone.predict_on_batch(to_network_input(np.stack(batch)))
        pooled.append(np.asarray(maps, np.float32).mean(axis=(1, 2)))
    return np.concatenate(pooled)
