"""95 % intervals by resampling whole groups: images of one group do not vary independently of each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trainer.progress import track

RESAMPLES = 1000
_TAILS = (0.025, 0.975)

Interval = tuple[float, float]


def resample(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.floating]],
    groups: NDArray[np.int64],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    what: str = "Resampling",
) -> NDArray[np.float64]:
    """The bootstrap distribution (resamples, k) of a statistic (Efron, 1979; by groups: Field and Welsh, 2007).

    ``statistic`` takes how often each image, int64 (n,), is in the resample, and gives k values; a value is NaN if it
    is not defined without the images left out. ``groups`` is int64 (n,).
    """
    _, group_of = np.unique(groups, return_inverse=True)
    count = int(group_of.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = [np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(resamples)]
    return np.stack([np.asarray(statistic(times[group_of]), np.float64) for times in track(drawn, what)])


def percentile_interval(distribution: NDArray[np.float64]) -> Interval | None:
    """95 % percentile interval of the defined values of a distribution (resamples,); None where there are none."""
    defined = distribution[np.isfinite(distribution)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, _TAILS)
    return float(low), float(high)


def group_interval(right: NDArray[np.bool_], groups: NDArray[np.int64], *, seed: int = 0) -> Interval:
    """95 % bootstrap interval of the share of ``right`` (n,), n at least 1, by ``groups`` int64 (n,)."""
    drawn = resample(lambda times: np.array([(right * times).sum() / times.sum()]), groups, seed=seed)
    found = percentile_interval(drawn[:, 0])
    if found is None:
        raise ValueError("nothing to resample")
    return found
