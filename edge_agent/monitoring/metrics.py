"""Makes the ``metrics`` message: counts, rates since the message before, latency, and the machine's figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID

from edge_agent.cameras import CaptureCounters
from edge_agent.contracts import CaptureMetrics, MachineMetrics, Metrics, ShadowMetrics, SpoolMetrics, Topics
from edge_agent.monitoring.latency import LatencyRecorder
from edge_agent.monitoring.reading_counts import ReadingCounts
from edge_agent.spool import SpoolStats


@dataclass(frozen=True, slots=True)
class MetricsSources:
    """Where the figures come from. Each is called for every message, since a reload replaces its object."""

    readings: Callable[[], ReadingCounts]
    capture: Callable[[], CaptureCounters]
    spool: Callable[[], SpoolStats]
    latency: LatencyRecorder
    shadow: Callable[[], ShadowMetrics | None] = lambda: None
    pause_s: Callable[[], float] = lambda: 0.0


class MetricsCollector:
    """Remembers the counts of the previous message to compute rates. Belongs to one thread."""

    def __init__(
        self, sources: MetricsSources, session: UUID, *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """The session starts now. ``monotonic_s`` is the clock that durations are measured with."""
        self._sources = sources
        self._session = session
        self._monotonic_s = monotonic_s
        self._began_at_s = self._before_s = monotonic_s()
        self._readings_before = self._frames_before = 0

    def collect(self, topics: Topics, machine: MachineMetrics) -> Metrics:
        """The current message; rates and latency cover the time since the last call."""
        now_s = self._monotonic_s()
        elapsed_s = max(now_s - self._before_s, 1e-9)
        readings = self._sources.readings()
        readings_count = readings.readings_count
        capture = self._sources.capture()
        # Frames are counted from zero again after a reload.
        counted_on = capture.frames_count >= self._frames_before
        frames_count = capture.frames_count - (self._frames_before if counted_on else 0)
        metrics = Metrics(
            site=topics.site,
            device=topics.device,
            session=self._session,
            at=datetime.now(UTC),
            uptime_s=round(now_s - self._began_at_s, 3),
            readings_count=readings_count,
            outcomes_count=dict(readings.outcomes_count),
            reasons_count=dict(readings.reasons_count),
            labels_count=dict(readings.labels_count),
            reading_rate_hz=round((readings_count - self._readings_before) / elapsed_s, 3),
            reading_pause_s=round(self._sources.pause_s(), 3),
            frame_rate_hz=round(frames_count / elapsed_s, 3),
            latency_ms=self._sources.latency.take(),
            capture=CaptureMetrics(**asdict(capture)),
            spool=SpoolMetrics(**asdict(self._sources.spool())),
            machine=machine,
            shadow=self._sources.shadow(),
        )
        self._before_s, self._readings_before, self._frames_before = now_s, readings_count, capture.frames_count
        return metrics
