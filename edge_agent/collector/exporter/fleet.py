"""What the devices have said last, by the session rule."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import BaseModel

from edge_agent.collector.exporter.counting import RunningCounters, is_counter
from edge_agent.collector.summary import SILENT_AFTER_S
from edge_agent.contracts import Health, Info, Metrics, Status, StatusState
from edge_agent.metric_families import Sample, samples_of_checks, samples_of_metrics

MAX_DEVICES_COUNT = 20_000
"""A bound on the memory; whoever may publish at the broker may invent devices."""

STALE_AFTER_S = 180.0
"""Six intervals of ``metrics``. Figures that are older say nothing of now."""

SILENT = "silent"
"""Of a device that has not repeated its status in time, and that the broker has not called lost."""

STATES = (*(state.value for state in StatusState), SILENT)

_GONE = {StatusState.LOST.value, StatusState.DISCONNECTED.value, SILENT}


@dataclass(slots=True)
class Device:
    """One device. Ages are measured by this computer's clock; a device's own may be wrong."""

    site: str
    device: str
    session: UUID | None = None
    said: str | None = None
    code: str | None = None
    heard_s: float = 0.0
    """When its status came last, by the monotonic clock."""
    info: Info | None = None
    health: Health | None = None
    figures: list[Sample] = field(default_factory=list)
    figures_s: float | None = None
    figures_session: UUID | None = None
    uptime_s: float = 0.0
    counters: RunningCounters = field(default_factory=RunningCounters)

    def state(self, now_s: float) -> str | None:
        """A state of the contract, or ``silent``; None if it has never told one."""
        if self.said is None or self.said in _GONE:
            return self.said
        return SILENT if now_s - self.heard_s > SILENT_AFTER_S else self.said

    def samples(self, now_s: float) -> Iterator[Sample]:
        """Counters always; what describes the present only while the device is there."""
        yield from self.counters.samples()
        if self.state(now_s) in _GONE:
            return
        if self.figures_s is not None and now_s - self.figures_s <= STALE_AFTER_S:
            yield from self.figures
        if self.health is not None and self.health.session == self.session:
            yield from samples_of_checks(self.health.checks)


class Fleet:
    """All devices. The event loop changes it, and the endpoint's threads read it."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._devices: dict[tuple[str, str], Device] = {}
        self._lock = threading.Lock()
        self.ignored_count = 0
        """Messages of devices beyond ``MAX_DEVICES_COUNT``."""

    def take(self, site: str, device: str, body: BaseModel) -> None:
        """A message of a device, as read from its topic. Kinds that say nothing of its state are passed over."""
        if not isinstance(body, Status | Metrics | Health | Info):
            return
        with self._lock:
            known = self._devices.get((site, device))
            if known is None:
                if len(self._devices) >= MAX_DEVICES_COUNT:
                    self.ignored_count += 1
                    return
                known = self._devices[site, device] = Device(site, device)
            match body:
                case Status():
                    self._take_status(known, body)
                case Metrics():
                    self._take_metrics(known, body)
                case Health():
                    known.health = body
                case Info():
                    known.info = body

    def forget(self, site: str, device: str) -> None:
        """Its retained status was cleared: the device is no longer in use."""
        with self._lock:
            self._devices.pop((site, device), None)

    def read(self) -> tuple[float, list[tuple[Device, list[Sample]]]]:
        """The monotonic time, and every device with its samples."""
        with self._lock:
            now_s = self._monotonic_s()
            return now_s, [(each, list(each.samples(now_s))) for each in self._devices.values()]

    def _take_status(self, known: Device, status: Status) -> None:
        if known.session is not None and status.session < known.session:
            # The last will of a connection that was replaced long ago.
            return
        known.session, known.said, known.code = status.session, status.state.value, status.code
        known.heard_s = self._monotonic_s()

    def _take_metrics(self, known: Device, metrics: Metrics) -> None:
        """They have QoS 0 and may come late. Those that are older than the ones known would turn the counters back."""
        order = metrics.session, metrics.uptime_s
        if known.figures_session is not None and order < (known.figures_session, known.uptime_s):
            return
        samples = list(samples_of_metrics(metrics))
        known.counters.count(metrics.session, samples)
        known.figures = [each for each in samples if not is_counter(each.family)]
        known.figures_session, known.uptime_s, known.figures_s = metrics.session, metrics.uptime_s, self._monotonic_s()
