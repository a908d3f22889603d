from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.intervals import wilson_interval


@given(st.integers(1, 5000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
@example((0, 10))
@example((10, 10))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    count, total = counts
    reference = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(count, total)
    assert low == pytest.approx(reference.low, abs=1e-9)
    assert high == pytest.approx(reference.high, abs=1e-9)
    assert 0 <= low <= count / total <= high <= 1


def test_of_nothing_anything_may_be_true() -> None:
    assert wilson_interval(0, 0) == (0, 1)
