"""How certain figures of held-out pictures are, which are not independent of each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.intervals import wilson_interval
from trainer.evaluation.intervals import Interval, percentile_interval

RESAMPLES = 1000
LIKELY_CORRELATION = 0.02
"""How far answers within a group are taken to be right or wrong together where too few are wrong to measure it."""
_ENOUGH_WRONG = 10


def design_effect(right: NDArray[np.bool_], groups: NDArray[np.int64]) -> float:
    """How many times larger the variance of the share of ``right`` (n,) is than if all pictures were independent.

    The variance of a ratio over clusters (W. G. Cochran, "Sampling Techniques", 3rd edition, 1977, section 9A.1; L.
    Kish, "Survey Sampling", 1965). At least 1, and at least that of a small correlation within ``groups`` (n,): with
    few wrong answers, none of them twice in a group by chance, a correlation cannot be seen.
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
    # A group's members count by their number: large groups weigh more.
    least = 1 + LIKELY_CORRELATION * (float(np.square(sizes).sum()) / total - 1)
    return max(1.0, measured, least)


def accuracy_interval(right: NDArray[np.bool_], groups: NDArray[np.int64], *, seed: int = 0) -> Interval:
    """95 % interval of the accuracy on other groups, by held-out answers ``right`` (n,) of ``groups`` (n,).

    It reaches from the lower to the higher end of two: the percentiles of a bootstrap over groups, which is too narrow
    near 0 and 1, and Wilson's interval of as many independent pictures as would be as certain.
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
