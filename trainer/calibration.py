"""Makes logits into probabilities that can be believed, and finds where to abstain. On validation data only."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

TEMPERATURE_RANGE = (0.05, 20.0)
REFUSED_SHARE = 0.01
"""At most this share of the validation images is refused for lack of confidence."""

CLEAN_UNFAMILIAR_SHARE = 0.006
SHIFTED_UNFAMILIAR_SHARE = 0.012
"""At most these shares of the validation images, as they are and moderately shifted, are refused as unfamiliar: a
little over half of what is allowed on images never seen, 1 % and 2 %."""

Floats = NDArray[np.floating]


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature of the least log loss (Guo et al., 2017). Logits (n, c), labels (n,).

    Searched in ``TEMPERATURE_RANGE``: where all are right, ever colder would be ever better.
    """

    def log_loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits / math.exp(log_temperature), axis=1)
        return float(-log_probabilities[np.arange(len(labels)), labels].mean())

    low, high = map(math.log, TEMPERATURE_RANGE)
    return math.exp(minimize_scalar(log_loss, bounds=(low, high), method="bounded").x)


def choose_threshold(probabilities: Floats, refused_share: float = REFUSED_SHARE) -> float:
    """The highest confidence threshold below which at most ``refused_share`` of probabilities (n, c) fall.

    An image is refused if its likeliest class has less than the threshold.
    """
    confidences = np.sort(probabilities.max(axis=1))
    return float(confidences[math.floor(refused_share * len(confidences))])


def choose_unfamiliarity_limit(clean: Floats, shifted: Floats) -> float:
    """The lowest limit above which at most the stated shares of the scores ``clean`` (n,) and ``shifted`` (m,) lie.

    Rounded up to what messages show. An image is refused if its score is above the limit.
    """
    lowest = max(
        np.sort(scores)[::-1][math.floor(share * len(scores))]
        for scores, share in ((clean, CLEAN_UNFAMILIAR_SHARE), (shifted, SHIFTED_UNFAMILIAR_SHARE))
    )
    return math.ceil(float(lowest) * 1000) / 1000
