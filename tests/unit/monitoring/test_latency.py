from __future__ import annotations

import pytest

from edge_agent.monitoring.latency import LatencyMeter


def test_percentiles_are_of_what_came_since_the_last_look() -> None:
    meter = LatencyMeter()
    for milliseconds in range(1, 101):
        meter.add({"total": float(milliseconds), "decode": 1.0})
    latency, readings_hz, _ = meter.take(0)
    assert latency["total"].p50_ms == pytest.approx(50.5)
    assert latency["total"].p95_ms == pytest.approx(95.05)
    assert latency["total"].p99_ms == pytest.approx(99.01)
    assert latency["decode"].samples_count == 100
    assert readings_hz > 0
    assert meter.take(0)[0] == {}


def test_frames_are_counted_from_the_look_before_also_when_the_camera_began_anew() -> None:
    meter = LatencyMeter()
    meter.take(100)
    assert meter.take(100)[2] == 0
    assert meter.take(7)[2] > 0
