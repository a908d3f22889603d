"""Measures how certain figures of held-out pictures are, given that these are not independent of each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

from edge_agent.intervals import wilson_interval
from trainer.evaluation.intervals import Interval, percentile_interval

RESAMPLES = 1000
_UPPER = 0.975
LIKELY_CORRELATION = 0.2
"""Least correlation of answers within a group that is assumed: a few wrong answers cannot show it.

On single cells of 71 patients, half of whom were kept apart, intervals are then wide enough ('python -m benchmarks
site-models')."""


def design_effect(right: NDArray[np.bool_], groups: NDArray[np.int64]) -> float:
    """How many times larger the variance of the share of ``right`` (n,) is than if all pictures were independent.

    It is the variance of a ratio over clusters (W. G. Cochran, "Sampling Techniques", 3rd edition, 1977), but at least
    that of independent pictures, and at least that of ``LIKELY_CORRELATION`` within ``groups`` (n,). As the variance is
    itself estimated from a limited number of groups, it is widened as Student's t is (E. L. Korn and B. I. Graubard,
    "Confidence intervals for proportions with small expected number of positive counts estimated from survey data",
    1998).
    """
    _, of = np.unique(groups, return_inverse=True)
    sizes = np.bincount(of).astype(np.float64)
    count, total = len(sizes), len(right)
    share = float(right.mean())
    excess = np.bincount(of, weights=right - share)
    measured = 1.0
    if 0 < share < 1 and count > 1:
        variance = count / (count - 1) * float(np.square(excess).sum()) / total**2
        measured = variance / (share * (1 - share) / total)
    # Groups are weighted by their sizes: large groups count more.
    least = 1 + LIKELY_CORRELATION * (float(np.square(sizes).sum()) / total - 1)
    degrees = max(1, count - 1)
    return max(1.0, measured, least) * float(student_t.ppf(_UPPER, degrees) / norm.ppf(_UPPER)) ** 2


def accuracy_interval(right: NDArray[np.bool_], groups: NDArray[np.int64], *, seed: int = 0) -> Interval:
    """95 % interval of the accuracy on other groups, from held-out answers ``right`` (n,) of ``groups`` (n,).

    It spans two intervals: the percentiles of a bootstrap over groups, which is too narrow near 0 and 1, and Wilson's
    interval for the number of independent pictures that would be equally certain.
    """
    effect = design_effect(right, groups)
    low, high = wilson_interval(float(right.sum()) / effect, len(right) / effect)
    times = draw_groups(groups, seed=seed)
    drawn = percentile_interval((times @ right) / times.sum(axis=1))
    return (low, high) if drawn is None else (min(low, drawn[0]), max(high, drawn[1]))


def draw_groups(groups: NDArray[np.int64], *, seed: int = 0, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """How often each picture is in each resample of whole ``groups`` (n,): float64 (resamples, n).

    C. A. Field and A. H. Welsh, "Bootstrapping clustered data", 2007.
    """
    _, of = np.unique(groups, return_inverse=True)
    count = int(of.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return drawn[:, of].astype(np.float64)
