"""The monitor's thread: its calls, their times, and its end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.cameras import CaptureCounters
from edge_agent.contracts import CheckState, Health, Metrics, Topics
from edge_agent.errors import CameraLost
from edge_agent.events.recorder import EventRecorder
from edge_agent.monitoring.health import HealthInputs
from edge_agent.monitoring.latency import LatencyRecorder
from edge_agent.monitoring.metrics import MetricsCollector, MetricsSources
from edge_agent.monitoring.monitor import HealthMonitor, MonitorCallbacks
from edge_agent.monitoring.reading_counts import ReadingCounts
from edge_agent.monitoring.spool_events import SpoolEvents
from edge_agent.spool import MemorySpool
from tests.unit.monitoring.conftest import MakeInputs

PATIENCE_S = 20.0


class Watched:
    def __init__(self, folder: Path, inputs: HealthInputs) -> None:
        self.inputs = inputs
        self.healths: queue.SimpleQueue[Health] = queue.SimpleQueue()
        self.on_health: Callable[[Health], None] = self.healths.put
        self.metrics: queue.SimpleQueue[Metrics] = queue.SimpleQueue()
        self.failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        spool, session = MemorySpool(2**20), uuid7()
        self.events = EventRecorder(folder, spool, Topics("clinic", "scope-1"), session)
        sources = MetricsSources(
            lambda: ReadingCounts(3), lambda: CaptureCounters(0, 0, 0, 0), spool.stats, LatencyRecorder()
        )
        self.monitor = HealthMonitor(
            lambda: self.inputs,
            MetricsCollector(sources, session),
            SpoolEvents(spool, self.events),
            self.events,
            session,
            MonitorCallbacks(self._take_health, self.metrics.put, self.failures.put),
        )

    def _take_health(self, health: Health) -> None:
        self.on_health(health)


@contextmanager
def watched(folder: Path, inputs: HealthInputs) -> Iterator[Watched]:
    found = Watched(folder, inputs)
    try:
        yield found
    finally:
        found.monitor.stop()
        found.events.close()


def test_health_is_published_when_it_changes_and_when_it_is_asked_for_again(
    tmp_path: Path, make_inputs: MakeInputs
) -> None:
    with watched(tmp_path, make_inputs()) as found:
        found.monitor.do_round()
        assert found.healths.get_nowait().state is CheckState.OK
        found.monitor.do_round()
        assert found.healths.empty()
        found.inputs = make_inputs(camera=CameraLost("unplugged."))
        found.monitor.do_round()
        assert found.healths.get_nowait().state is CheckState.DEGRADED
        # Another figure in the same message is not news; a figure that can no longer be measured is.
        found.inputs = make_inputs(camera=CameraLost("unplugged once more."))
        found.monitor.do_round()
        assert found.healths.empty()
        found.inputs = make_inputs(camera=CameraLost("unplugged."), throttling=None)
        found.monitor.do_round()
        assert found.healths.get_nowait().state is CheckState.DEGRADED
        found.monitor.publish_health_again()
        found.monitor.do_round()
        assert found.healths.get_nowait().state is CheckState.DEGRADED


def test_the_thread_does_a_round_when_it_is_woken(tmp_path: Path, make_inputs: MakeInputs) -> None:
    with watched(tmp_path, make_inputs()) as found:
        found.monitor.start()
        assert found.healths.get(timeout=PATIENCE_S).state is CheckState.OK
        found.inputs = make_inputs(camera=CameraLost("unplugged."))
        found.monitor.wake()
        assert found.healths.get(timeout=PATIENCE_S).state is CheckState.DEGRADED


def test_metrics_come_when_they_are_due(
    tmp_path: Path, make_inputs: MakeInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [0.0]
    monkeypatch.setattr("edge_agent.monitoring.monitor.time.monotonic", lambda: moment[0])
    with watched(tmp_path, make_inputs()) as found:
        for moment[0] in (0.0, 29.0):
            found.monitor.do_round()
        assert found.metrics.empty()
        for moment[0] in (30.0, 31.0, 59.0):
            found.monitor.do_round()
        assert found.metrics.get_nowait().readings_count == 3
        assert found.metrics.empty()
        moment[0] = 60.0
        found.monitor.do_round()
        assert not found.metrics.empty()


def test_a_thread_that_fails_says_so(tmp_path: Path, make_inputs: MakeInputs) -> None:
    with watched(tmp_path, make_inputs()) as found:
        found.inputs = None  # type: ignore[assignment]
        found.monitor.start()
        assert isinstance(found.failures.get(timeout=PATIENCE_S), AttributeError)


def test_a_round_that_takes_too_long_is_stuck_and_waiting_for_the_next_is_not(
    tmp_path: Path, make_inputs: MakeInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.monitoring.monitor.ROUND_LIMIT_S", 0.0)
    begun, go_on = threading.Event(), threading.Event()
    with watched(tmp_path, make_inputs()) as found:
        before = found.monitor.stall_detector.stuck

        def slow(_health: Health) -> None:
            begun.set()
            assert go_on.wait(PATIENCE_S)

        found.on_health = slow
        found.monitor.start()
        assert begun.wait(PATIENCE_S)
        during = found.monitor.stall_detector.stuck
        go_on.set()
        found.monitor.stop()
        assert (before, during, found.monitor.stall_detector.stuck) == (False, True, False)
