"""Scales logits so that the probabilities match the accuracy. Uses validation data only."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Floats = NDArray[np.floating]


TEMPERATURE_RANGE = (0.05, 20.0)


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature with the lowest log loss (Guo et al., 2017). Logits (n, c), labels (n,).

    Searched in ``TEMPERATURE_RANGE``, because there is no minimum if all predictions are right.
    """

    def log_loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits / math.exp(log_temperature), axis=1)
        return float(-log_probabilities[np.arange(len(labels)), labels].mean())

    low, high = map(math.log, TEMPERATURE_RANGE)
    return math.exp(minimize_scalar(log_loss, bounds=(low, high), method="bounded").x)
