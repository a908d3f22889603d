from __future__ import annotations

import numpy as np
import pytest

from trainer.evaluation.intervals import percentile_interval, resample


def test_whole_groups_are_drawn() -> None:
    groups = np.array([0, 0, 0, 1, 1, 7])
    seen: list[np.ndarray] = []

    def remember(times: np.ndarray) -> np.ndarray:
        seen.append(times)
        return np.zeros(1)

    resample(remember, groups, resamples=50)
    assert len(seen) == 50
    for times in seen:
        assert times[0] == times[1] == times[2]
        assert times[3] == times[4]
        assert times[0] + times[3] + times[5] == 3


def test_the_same_seed_draws_the_same() -> None:
    values = np.random.default_rng(0).normal(size=30)

    def drawn(seed: int) -> np.ndarray:
        return resample(
            lambda times: np.array([(values * times).sum() / times.sum()]), np.arange(30), seed=seed, resamples=20
        )

    assert np.array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


def test_the_interval_holds_the_middle_95_percent() -> None:
    low, high = percentile_interval(np.arange(1001.0)) or (0, 0)
    assert (low, high) == pytest.approx((25, 975))


def test_values_that_are_not_defined_are_left_out() -> None:
    values = np.full(200, np.nan)
    values[:101] = np.arange(101)
    assert percentile_interval(values) == pytest.approx((2.5, 97.5))
    assert percentile_interval(np.full(5, np.nan)) is None
