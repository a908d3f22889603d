"""The thread with scheduled work: health checks, metrics, events about the spool."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from edge_agent.contracts import Check, Health, Metrics
from edge_agent.events.recorder import EventRecorder
from edge_agent.monitoring.health import HealthInputs, health_message, run_checks
from edge_agent.monitoring.metrics import MetricsCollector
from edge_agent.monitoring.spool_events import SpoolEvents
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

TICK_S = 5.0
HEALTH_INTERVAL_S = 300.0
METRICS_INTERVAL_S = 30.0

HEALTH_EXPIRY_S = 900
"""The broker forgets a health that was not renewed three times: it says nothing of a device that is gone."""

LAST_INTERVAL_S = 10.0
"""``last`` and ``specimen`` are renewed no more often, so that they cost little beside the results."""

ROUND_LIMIT_S = 120.0
"""A round that takes longer is stuck.

It reads a few kernel files and records a few events, each of which waits for the disk: a worn card takes seconds for
one, and sometimes half a minute.
"""


@dataclass(frozen=True, slots=True)
class MonitorCallbacks:
    """Called in the monitor's thread; they must not wait for long."""

    on_health: Callable[[Health], None]
    """Publish the health: it has changed, or was last published a while ago."""
    on_metrics: Callable[[Metrics], None]
    on_failure: Callable[[BaseException], None]
    """A defect ended the thread."""
    on_round: Callable[[], None] = lambda: None
    """Do what else is due every few seconds."""


class HealthMonitor:
    """A thread that does a round every few seconds, or at once when something has changed."""

    def __init__(
        self,
        health_inputs: Callable[[], HealthInputs],
        metrics: MetricsCollector,
        spool_events: SpoolEvents,
        events: EventRecorder,
        session: UUID,
        callbacks: MonitorCallbacks,
    ) -> None:
        """Nothing runs before ``start``."""
        self.stall_detector = StallDetector(ROUND_LIMIT_S)
        self._health_inputs = health_inputs
        self._metrics = metrics
        self._spool_events = spool_events
        self._events = events
        self._session = session
        self._callbacks = callbacks
        self._checks: tuple[Check, ...] = ()
        self._health_due_at_s = float("-inf")
        self._metrics_due_at_s = time.monotonic() + METRICS_INTERVAL_S
        self._woken = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def run_checks(self) -> tuple[Check, ...]:
        """Run all checks now."""
        return run_checks(self._health_inputs())

    def publish_health_again(self) -> None:
        """Publish the health in the next round, for a new connection."""
        self._health_due_at_s = float("-inf")
        self.wake()

    def start(self) -> None:
        """Start the rounds."""
        self._thread.start()

    def wake(self) -> None:
        """Something has changed: do a round now."""
        self._woken.set()

    def stop(self) -> None:
        """Stop, after a last report of drops."""
        self._stop = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def do_round(self) -> None:
        """Do what is due."""
        now_s = time.monotonic()
        self._spool_events.record(now_s)
        self._callbacks.on_round()
        inputs = self._health_inputs()
        self._check_health(inputs, now_s)
        if now_s >= self._metrics_due_at_s:
            self._metrics_due_at_s = now_s + METRICS_INTERVAL_S
            self._callbacks.on_metrics(self._metrics.collect(self._events.topics, inputs.machine))

    def _run(self) -> None:
        try:
            while not self._stop:
                self._woken.clear()
                with self.stall_detector.work():
                    self.do_round()
                self._woken.wait(TICK_S)
            with self.stall_detector.work():
                self._spool_events.record(time.monotonic(), last=True)
        except BaseException as failure:
            log.critical("the monitor thread failed", exc_info=failure)
            self._callbacks.on_failure(failure)

    def _check_health(self, inputs: HealthInputs, now_s: float) -> None:
        checks = run_checks(inputs)
        changed = _states(checks) != _states(self._checks)
        if not changed and now_s < self._health_due_at_s:
            return
        self._checks = checks
        self._health_due_at_s = now_s + HEALTH_INTERVAL_S
        self._callbacks.on_health(health_message(self._events.topics, self._session, checks))


def _states(checks: tuple[Check, ...]) -> list[tuple[str, str, str | None]]:
    """What makes a health message new: states and codes, not wording such as a temperature."""
    return [(check.name, check.state, check.code) for check in checks]
