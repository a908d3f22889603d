from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contracts import Percentiles
from edge_agent.monitoring.latency import SAMPLES_MAX, LatencyRecorder


def test_percentiles_are_per_stage_and_of_what_came_since_they_were_taken() -> None:
    latency = LatencyRecorder()
    for milliseconds in range(1, 101):
        latency.add({"total": float(milliseconds), "decode": 1.0})
    latency.add({"total": 50.5})
    assert latency.take() == {
        "total": Percentiles(p50_ms=50.5, p95_ms=95.0, p99_ms=99.0, samples_count=101),
        "decode": Percentiles(p50_ms=1.0, p95_ms=1.0, p99_ms=1.0, samples_count=100),
    }
    assert latency.take() == {}
    latency.add({"total": 7.0})
    assert latency.take() == {"total": Percentiles(p50_ms=7.0, p95_ms=7.0, p99_ms=7.0, samples_count=1)}


def test_only_the_newest_samples_count() -> None:
    latency = LatencyRecorder()
    for milliseconds in range(SAMPLES_MAX * 3):
        latency.add({"total": float(milliseconds)})
    found = latency.take()["total"]
    assert found.samples_count == SAMPLES_MAX
    assert found.p50_ms == pytest.approx(SAMPLES_MAX * 2.5 - 0.5)


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=200))
def test_percentiles_are_those_of_the_samples(samples_ms: list[float]) -> None:
    latency = LatencyRecorder()
    for milliseconds in samples_ms:
        latency.add({"total": milliseconds})
    found = latency.take()["total"]
    expected = [float(np.quantile(samples_ms, q)) for q in (0.5, 0.95, 0.99)]
    assert [found.p50_ms, found.p95_ms, found.p99_ms] == pytest.approx(expected, abs=1e-3)
    assert found.samples_count == len(samples_ms)
