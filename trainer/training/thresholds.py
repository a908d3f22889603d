"""Chooses the thresholds below or above which the agent abstains. Uses validation data only."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

CLEAN_UNSURE_SHARE = 0.004
SHIFTED_UNSURE_SHARE = 0.025
"""Largest shares of the validation images, as they are and moderately shifted, that are refused for low confidence.

Together with the images refused as unfamiliar, that is 1 % of clean images, and less than the 5 % that are allowed for
shifted ones."""

CLEAN_UNFAMILIAR_SHARE = 0.006
SHIFTED_UNFAMILIAR_SHARE = 0.012
"""Largest shares of the validation images, as they are and moderately shifted, that are refused as unfamiliar.

That is a little over half of what is allowed on images never seen, 1 % and 2 %."""

Floats = NDArray[np.floating]


def choose_threshold(clean: Floats, shifted: Floats) -> float:
    """The highest threshold below which at most the stated shares of the confidences (n,) and (m,) fall.

    A confidence is the probability of the likeliest class; an image is refused if it is below the threshold.
    """
    return float(
        min(
            np.sort(confidences)[math.floor(share * len(confidences))]
            for confidences, share in ((clean, CLEAN_UNSURE_SHARE), (shifted, SHIFTED_UNSURE_SHARE))
        )
    )


def choose_unfamiliarity_limit(clean: Floats, shifted: Floats) -> float:
    """The lowest limit above which at most the stated shares of the scores ``clean`` (n,) and ``shifted`` (m,) lie.

    Rounded up to what messages show. An image is refused if its score is above the limit.
    """
    lowest = max(
        np.sort(scores)[::-1][math.floor(share * len(scores))]
        for scores, share in ((clean, CLEAN_UNFAMILIAR_SHARE), (shifted, SHIFTED_UNFAMILIAR_SHARE))
    )
    return math.ceil(float(lowest) * 1000) / 1000
