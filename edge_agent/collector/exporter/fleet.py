"""What the devices have said last, and what their counters add up to."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from edge_agent.client.liveness import Device, Devices
from edge_agent.client.messages import Message
from edge_agent.collector.exporter.counting import RunningCounters, is_counter
from edge_agent.contracts import Metrics
from edge_agent.metric_families import Sample, samples_of_checks, samples_of_metrics

STALE_AFTER_S = 180.0
"""Six intervals of ``metrics``. Figures that are older say nothing of now."""


FORMER_COUNT = 8
"""So many ended sessions of a device are remembered."""


@dataclass(slots=True)
class Figures:
    """What a device measures of itself."""

    gauges: list[Sample] = field(default_factory=list)
    heard_s: float = 0.0
    """By the monotonic clock."""
    session: UUID | None = None
    former: deque[UUID] = field(default_factory=lambda: deque(maxlen=FORMER_COUNT))
    """Sessions that have ended."""
    uptime_s: float = 0.0
    counters: RunningCounters = field(default_factory=RunningCounters)


@dataclass(frozen=True, slots=True)
class Shown:
    """One device as the endpoint shows it."""

    device: Device
    heartbeat_age_s: float | None
    """Since its status came last; None if none has."""
    samples: list[Sample]


class Fleet:
    """All devices. The event loop changes it, and the endpoint's threads read it."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._devices = Devices()
        self._figures: dict[tuple[str, str], Figures] = {}
        self._lock = threading.Lock()

    @property
    def ignored_count(self) -> int:
        """Messages of more devices than are kept."""
        return self._devices.ignored_count

    def take(self, message: Message, *, retained: bool = False, expiry_s: int | None = None) -> None:
        """A message of a device; arguments as those of ``Devices.update``."""
        with self._lock:
            now_s = self._monotonic_s()
            self._devices.update(message, now_s, retained=retained, expiry_s=expiry_s)
            known = self._devices.get(message.site, message.device) is not None
            if known and isinstance(message.body, Metrics):
                figures = self._figures.setdefault((message.site, message.device), Figures())
                _take_metrics(figures, message.body, now_s)

    def forget(self, site: str, device: str) -> None:
        """Its retained status was cleared: the device is no longer in use."""
        with self._lock:
            self._devices.forget(site, device)
            self._figures.pop((site, device), None)

    def read(self) -> list[Shown]:
        """Every device with its samples, as it is now."""
        with self._lock:
            now_s = self._monotonic_s()
            self._devices.check_silence(now_s)
            return [
                Shown(
                    each,
                    None if each.status_s is None else max(0.0, now_s - each.status_s),
                    list(_samples(each, self._figures.get((each.site, each.id)), now_s)),
                )
                for each in self._devices
            ]


def _take_metrics(figures: Figures, metrics: Metrics, now_s: float) -> None:
    """They have QoS 0 and may come late. Older ones than those that are known would turn the counters back."""
    is_older = metrics.session == figures.session and metrics.uptime_s < figures.uptime_s
    if is_older or metrics.session in figures.former:
        return
    if figures.session is not None and figures.session != metrics.session:
        figures.former.append(figures.session)
    samples = list(samples_of_metrics(metrics))
    figures.counters.count(metrics.session, samples)
    figures.gauges = [each for each in samples if not is_counter(each.family)]
    figures.session, figures.uptime_s, figures.heard_s = metrics.session, metrics.uptime_s, now_s


def _samples(device: Device, figures: Figures | None, now_s: float) -> Iterator[Sample]:
    """Counters always; what describes the present only while the device is there."""
    if figures is not None:
        yield from figures.counters.samples()
    if device.is_gone:
        return
    if figures is not None and now_s - figures.heard_s <= STALE_AFTER_S:
        yield from figures.gauges
    if device.health is not None and device.health.session == device.session:
        yield from samples_of_checks(device.health.checks)
