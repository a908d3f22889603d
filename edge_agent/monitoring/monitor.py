"""What the agent does by the clock: look after its health, publish metrics, tell of drops."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID

from edge_agent.cameras import CaptureCounters
from edge_agent.contracts import (
    CaptureMetrics,
    Check,
    CheckState,
    EventKind,
    Health,
    MachineMetrics,
    Metrics,
    SpoolMetrics,
)
from edge_agent.errors import SpoolCorrupt, SpoolFull
from edge_agent.events.recorder import EventRecorder
from edge_agent.monitoring.health import HealthInputs, examine
from edge_agent.monitoring.latency import LatencyMeter
from edge_agent.mqtt import Publisher
from edge_agent.spool import Spool, SqliteSpool

log = logging.getLogger(__name__)

TICK_S = 5.0
HEALTH_INTERVAL_S = 300.0
METRICS_INTERVAL_S = 30.0
DROPS_S = 60.0
"""Drops are told at once, and then not more often than this: a full spool has no room for a story of each."""

_TOLD = "told_drops"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where figures come from; each is asked anew, for a reload replaces what is behind it."""

    publisher: Callable[[], Publisher]
    health_inputs: Callable[[], HealthInputs]
    capture: Callable[[], CaptureCounters]
    readings_count: Callable[[], int]


class HealthMonitor:
    """A thread that looks around every few seconds, or at once when something has changed."""

    def __init__(
        self,
        spool: Spool,
        events: EventRecorder,
        meter: LatencyMeter,
        session: UUID,
        sources: Sources,
        *,
        on_health: Callable[[tuple[Check, ...]], None],
        on_metrics: Callable[[Metrics], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """The callbacks are called in this thread; after ``on_failure`` it has ended."""
        self._spool = spool
        self._events = events
        self._meter = meter
        self._session = session
        self._sources = sources
        self._on_health = on_health
        self._on_metrics = on_metrics
        self._on_failure = on_failure
        self._began_at = time.monotonic()
        self._checks: tuple[Check, ...] = ()
        self._health_due_at = self._drops_due_at = 0.0
        self._metrics_due_at = self._began_at + METRICS_INTERVAL_S
        self._woken = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def examine(self) -> tuple[Check, ...]:
        """All checks as they are now."""
        return examine(self._sources.health_inputs())

    def renew(self) -> None:
        """Publish the health again: the publisher is a new one."""
        self._health_due_at = 0.0
        self.wake()

    def start(self) -> None:
        """Begin to look after things."""
        self._thread.start()

    def wake(self) -> None:
        """Something has changed: look now."""
        self._woken.set()

    def stop(self) -> None:
        """End, after a last look."""
        self._stop = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop:
                self._woken.clear()
                self.look()
                self._woken.wait(TICK_S)
            self._tell_drops(time.monotonic(), last=True)
        except BaseException as failure:
            log.critical("the monitor thread failed", exc_info=failure)
            self._on_failure(failure)

    def look(self) -> None:
        """Look around once."""
        now = time.monotonic()
        self._tell_set_aside()
        self._tell_quarantined()
        self._tell_drops(now)
        inputs = self._sources.health_inputs()
        self._see_to_health(inputs, now)
        if now >= self._metrics_due_at:
            self._metrics_due_at = now + METRICS_INTERVAL_S
            metrics = self._measure(inputs.machine)
            self._sources.publisher().send_metrics(metrics.to_json())
            self._on_metrics(metrics)

    def _see_to_health(self, inputs: HealthInputs, now: float) -> None:
        checks = examine(inputs)
        changed = [(check.name, check.code) for check in checks] != [(check.name, check.code) for check in self._checks]
        if not changed and now < self._health_due_at:
            return
        self._checks = checks
        self._health_due_at = now + HEALTH_INTERVAL_S
        well = all(check.state is CheckState.OK for check in checks)
        health = Health(
            device=self._events.topics.device,
            session=self._session,
            at=datetime.now(UTC),
            state=CheckState.OK if well else CheckState.DEGRADED,
            checks=checks,
        )
        self._sources.publisher().set_retained(self._events.topics.health, health.to_json())
        self._on_health(checks)

    def _measure(self, machine: MachineMetrics) -> Metrics:
        capture = self._sources.capture()
        latency, reading_rate_hz, frame_rate_hz = self._meter.take(capture.frames_count)
        return Metrics(
            device=self._events.topics.device,
            session=self._session,
            at=datetime.now(UTC),
            uptime_s=round(time.monotonic() - self._began_at, 3),
            readings_count=self._sources.readings_count(),
            reading_rate_hz=round(reading_rate_hz, 3),
            frame_rate_hz=round(frame_rate_hz, 3),
            latency_ms=latency,
            capture=CaptureMetrics(**asdict(capture)),
            spool=SpoolMetrics(**asdict(self._spool.stats())),
            machine=machine,
        )

    def _tell_set_aside(self) -> None:
        if not isinstance(self._spool, SqliteSpool):
            return
        for found in self._spool.pop_quarantined_files():
            self._events.record(
                EventKind.SPOOL_SET_ASIDE,
                f"The spool was damaged and set aside; {found.salvaged_count} messages could still be read.",
                code=SpoolCorrupt.code,
                file=found.path.name,
                salvaged_count=found.salvaged_count,
            )

    def _tell_quarantined(self) -> None:
        """One event for all messages of a topic that have the same fault: a refused topic has no end of them."""
        found = self._spool.pop_quarantined_messages()
        counts = Counter((each.topic, each.code, each.reason) for each in found)
        for (topic, code, reason), count in counts.items():
            if topic == self._events.topics.event:
                # An event of it would be refused as well, and so on; the log has it.
                continue
            ids = [each.id for each in found if (each.topic, each.code, each.reason) == (topic, code, reason)]
            self._events.record(
                EventKind.MESSAGE_QUARANTINED,
                f"Messages for {topic} were quarantined ({count}): {reason}",
                code=code,
                topic=topic,
                message_id=None if ids[0] is None else str(ids[0]),
                count=count,
            )

    def _tell_drops(self, now: float, *, last: bool = False) -> None:
        """Tell how many messages were refused or dropped since that was last told, also by an earlier session."""
        stats = self._spool.stats()
        told = self._spool.state_entries(_TOLD).get(_TOLD, b"0 0").split()
        refused, dropped = stats.refused_count - int(told[0]), stats.dropped_count - int(told[1])
        if (refused <= 0 and dropped <= 0) or (now < self._drops_due_at and not last):
            return
        self._drops_due_at = now + DROPS_S
        self._events.record(
            EventKind.MESSAGES_DROPPED,
            f"{refused} messages were refused and {dropped} dropped.",
            code=SpoolFull.code,
            state_entries={_TOLD: f"{stats.refused_count} {stats.dropped_count}".encode()},
            refused_count=refused,
            dropped_count=dropped,
            refused_total_count=stats.refused_count,
            dropped_total_count=stats.dropped_count,
        )
