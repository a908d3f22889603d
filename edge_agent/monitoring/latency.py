"""Latency of readings, as percentiles per stage."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

import numpy as np

from edge_agent.contracts import Percentiles

SAMPLES_MAX = 1000
"""Samples kept per stage; above 33 readings a second the percentiles cover only the newest ones."""


class LatencyRecorder:
    """Collects the latencies of readings until they are taken. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples_ms: dict[str, deque[float]] = {}

    def add(self, latency_ms: Mapping[str, float]) -> None:
        """Add a reading's latency per stage, in milliseconds."""
        with self._lock:
            for stage, milliseconds in latency_ms.items():
                self._samples_ms.setdefault(stage, deque(maxlen=SAMPLES_MAX)).append(milliseconds)

    def take(self) -> dict[str, Percentiles]:
        """Percentiles per stage of the readings since the last call; a stage without readings is left out."""
        with self._lock:
            samples_ms, self._samples_ms = self._samples_ms, {}
        return {stage: _percentiles(values) for stage, values in samples_ms.items()}


def _percentiles(samples_ms: deque[float]) -> Percentiles:
    """With linear interpolation between samples, as NumPy does it."""
    p50, p95, p99 = (round(float(value), 3) for value in np.percentile(np.asarray(samples_ms), [50, 95, 99]))
    return Percentiles(p50_ms=p50, p95_ms=p95, p99_ms=p99, samples_count=len(samples_ms))
