"""Serves the latest metrics and health checks to Prometheus."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_agent.contracts import Check, CheckState, Health, Metrics, Percentiles, ShadowMetrics
from edge_agent.errors import PrometheusPortTaken
from edge_agent.metric_figures import FIGURES, Kind
from edge_agent.monitoring.prometheus.settings import PrometheusSettings

_PREFIX = "leukoscope"
_DEVICE = ("site", "device")
"""Labels of every sample: a Prometheus of many clinics must tell their devices apart."""
_OTHER_HOST = "Set prometheus.host to an address of this device, or to 127.0.0.1."


class Exporter(Collector):
    """The endpoint. Its figures are those of the last ``metrics`` message, up to half a minute old."""

    def __init__(self, settings: PrometheusSettings) -> None:
        """Serve from now on. Raises ``PrometheusPortTaken``."""
        self._metrics: Metrics | None = None
        self._health: Health | None = None
        registry = CollectorRegistry()
        registry.register(self)
        self._server: WSGIServer
        self._thread: threading.Thread
        try:
            self._server, self._thread = start_http_server(settings.port, settings.host, registry)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "that is not a host name"
            host_is_wrong = isinstance(error, UnicodeError | socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
            raise PrometheusPortTaken(
                f"The endpoint cannot listen on {settings.host} port {settings.port}: {reason}.",
                remedy=_OTHER_HOST if host_is_wrong else None,
            ) from error

    def set_metrics(self, metrics: Metrics) -> None:
        """Serve these from now on."""
        self._metrics = metrics

    def set_health(self, health: Health) -> None:
        """Serve its checks from now on."""
        self._health = health

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterable[Metric]:
        """Called by the client library for each scrape."""
        if (health := self._health) is not None:
            yield from _checks(_Device(health.site, health.device), health.checks)
        if (metrics := self._metrics) is not None:
            device = _Device(metrics.site, metrics.device)
            yield from _readings(device, metrics)
            yield _latency(device, metrics.latency_ms)
            yield from _figures(device, metrics)
            if metrics.shadow is not None:
                yield from _shadow(device, metrics.shadow)


class _Device:
    """Makes families whose samples all say which device they are of."""

    def __init__(self, site: str | None, device: str) -> None:
        self._values = (site or "", device)

    def gauge(self, name: str, explanation: str, *labels: str) -> _Family:
        return _Family(GaugeMetricFamily(f"{_PREFIX}_{name}", explanation, labels=[*_DEVICE, *labels]), self._values)

    def counter(self, name: str, explanation: str, *labels: str) -> _Family:
        return _Family(CounterMetricFamily(f"{_PREFIX}_{name}", explanation, labels=[*_DEVICE, *labels]), self._values)


@dataclass(frozen=True, slots=True)
class _Family:
    metric: GaugeMetricFamily | CounterMetricFamily
    device: tuple[str, ...]

    def add(self, value: float, *labels: str) -> None:
        self.metric.add_metric([*self.device, *labels], value)

    def add_percentiles(self, found: Percentiles, *labels: str) -> None:
        """In seconds, each with its percentile as the last label."""
        for percentile, milliseconds in (("50", found.p50_ms), ("95", found.p95_ms), ("99", found.p99_ms)):
            self.add(milliseconds / 1000, *labels, percentile)


def _checks(device: _Device, checks: tuple[Check, ...]) -> Iterator[Metric]:
    """Unknown checks are left out of the first family, so that no alert fires on them."""
    ok = device.gauge(
        "check_ok",
        "1 if the check found no fault, 0 if it did; left out where nothing can be measured",
        "check",
        "code",
    )
    state = device.gauge("check_state", "1 for the state that the check is in, else 0", "check", "state")
    for check in checks:
        if check.state is not CheckState.UNKNOWN:
            ok.add(float(check.state is CheckState.OK), check.name, check.code or "")
        for each in CheckState:
            state.add(float(check.state is each), check.name, each)
    yield ok.metric
    yield state.metric


def _readings(device: _Device, metrics: Metrics) -> Iterator[Metric]:
    outcomes = {str(outcome): count for outcome, count in metrics.outcomes_count.items()}
    counted = (
        ("readings", "Readings since the agent started, by outcome", "outcome", outcomes),
        (
            "refusals",
            "Readings without a label since the agent started, by reason or error's code",
            "reason",
            metrics.reasons_count,
        ),
        ("labels", "Classified readings since the agent started, by label", "label", metrics.labels_count),
    )
    for name, explanation, label, counts in counted:
        family = device.counter(name, explanation, label)
        for key, count in counts.items():
            family.add(count, key)
        yield family.metric


def _figures(device: _Device, metrics: Metrics) -> Iterator[Metric]:
    """Null is left out."""
    for figure in FIGURES:
        value = figure.value(metrics)
        if value is not None:
            make = device.counter if figure.kind is Kind.COUNTER else device.gauge
            family = make(figure.name, figure.explanation())
            family.add(value)
            yield family.metric


def _shadow(device: _Device, shadow: ShadowMetrics) -> Iterator[Metric]:
    """What is no plain number in the figures of a candidate; the others are among the message's figures."""
    refusals = device.counter(
        "shadow_refusals",
        "Fields that the model in use, or the candidate beside it, gave no label, by reason",
        "by",
        "reason",
    )
    for by, counts in (("active", shadow.active_refusals_count), ("candidate", shadow.candidate_refusals_count)):
        for reason, count in counts.items():
            refusals.add(count, by, reason)
    yield refusals.metric
    if shadow.latency_ms is not None:
        latency = device.gauge(
            "shadow_latency_seconds", "Time of the candidate's analysis of its newest fields", "percentile"
        )
        latency.add_percentiles(shadow.latency_ms)
        yield latency.metric


def _latency(device: _Device, latency: Mapping[str, Percentiles]) -> Metric:
    family = device.gauge(
        "latency_seconds", "Latency of the readings of the last half minute, by stage", "stage", "percentile"
    )
    for stage, percentiles in latency.items():
        family.add_percentiles(percentiles, stage)
    return family.metric
