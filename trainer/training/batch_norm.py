"""Re-estimates BatchNorm's statistics without changing what the network computes."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.training.tail import BATCH, build_tail


def measure_batch_norms(network: keras.Model, middle: str, maps: NDArray[np.floating]) -> None:
    """Give each BatchNorm behind ``middle`` the mean and variance of its input for ``maps`` (n, h, w, m).

    Its scale and shift are adjusted so that the network computes the same as before.
    """
    tail = build_tail(network, middle)
    norms = [layer for layer in tail.layers if isinstance(layer, keras.layers.BatchNormalization)]
    entering = keras.Model(network.get_layer(middle).output, [norm.input for norm in norms])
    for norm, values in zip(norms, entering.predict(maps.astype(np.float32), batch_size=BATCH, verbose=0), strict=True):
        gamma, beta, old_mean, old_variance = norm.get_weights()
        axes = tuple(range(values.ndim - 1))
        mean, variance = values.mean(axes, np.float64), values.var(axes, np.float64)
        slope = gamma / np.sqrt(old_variance + norm.epsilon)
        scale, shift = slope * np.sqrt(variance + norm.epsilon), beta + slope * (mean - old_mean)
        norm.set_weights([scale, shift, mean, variance])
