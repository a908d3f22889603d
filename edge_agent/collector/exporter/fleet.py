"""The last messages of the devices, and the sums of their counters."""

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
"""Six intervals of ``metrics``. Older figures do not describe the present."""


FORMER_COUNT = 8
"""Ended sessions of a device that are remembered."""


@dataclass(slots=True)
class Figures:
    """The figures that a device measures of itself."""

    gauges: list[Sample] = field(default_factory=list)
    heard_s: float = 0.0
    """When they came, by the monotonic clock."""
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
    """Time since its last status came; None if none has come."""
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
        """Messages that were ignored, as there are too many devices."""
        return self._devices.ignored_count

    def take(self, message: Message, *, retained: bool = False, expiry_s: int | None = None) -> None:
        """Take a message of a device; the arguments are as for ``Devices.update``."""
        with self._lock:
            now_s = self._monotonic_s()
            self._devices.update(message, now_s, retained=retained, expiry_s=expiry_s)
            known = self._devices.get(message.site, message.device) is not None
            if known and isinstance(message.body, Metrics):
                figures = self._figures.setdefault((message.site, message.device), Figures())
                _take_metrics(figures, message.body, now_s)

    def forget(self, site: str, device: str) -> None:
        """Remove a device whose retained status was cleared: it is no longer in use."""
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
    """Take figures, unless newer ones are known: with QoS 0 they may come late, and would turn the counters back."""
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
    """The device's samples: counters always, figures about the present only while the device is there."""
    if figures is not None:
        yield from figures.counters.samples()
    if device.is_gone:
        return
    if figures is not None and now_s - figures.heard_s <= STALE_AFTER_S:
        yield from figures.gauges
    if device.health is not None and device.health.session == device.session:
        yield from samples_of_checks(device.health.checks)
