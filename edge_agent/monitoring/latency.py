"""Latency and rates between two metrics messages."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping

import numpy as np

from edge_agent.contracts import Percentiles

SAMPLES_MAX = 1000
"""Per stage; at more than 33 readings a second the percentiles are of the newest ones."""


class LatencyMeter:
    """Collects the latencies of readings. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, deque[float]] = {}
        self._readings = 0
        self._frames_before = 0
        self._since = time.monotonic()

    def add(self, latency_ms: Mapping[str, float]) -> None:
        """Count a reading."""
        with self._lock:
            self._readings += 1
            for stage, milliseconds in latency_ms.items():
                self._samples.setdefault(stage, deque(maxlen=SAMPLES_MAX)).append(milliseconds)

    def take(self, frames_count: int) -> tuple[dict[str, Percentiles], float, float]:
        """Percentiles per stage, readings and frames per second since this was last asked.

        ``frames_count`` counts the frames since the camera was configured; a smaller one than before is a new count.
        """
        with self._lock:
            now = time.monotonic()
            elapsed_s = max(now - self._since, 1e-9)
            frames = frames_count - self._frames_before if frames_count >= self._frames_before else frames_count
            readings, samples = self._readings, self._samples
            self._since, self._readings, self._samples, self._frames_before = now, 0, {}, frames_count
        latency = {stage: _percentiles(values) for stage, values in samples.items()}
        return latency, readings / elapsed_s, frames / elapsed_s


def _percentiles(values: deque[float]) -> Percentiles:
    p50, p95, p99 = (round(float(value), 3) for value in np.percentile(np.asarray(values), [50, 95, 99]))
    return Percentiles(p50_ms=p50, p95_ms=p95, p99_ms=p99, samples_count=len(values))
