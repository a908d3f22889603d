"""Serves the latest metrics and health checks to Prometheus."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterable, Iterator
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic.fields import FieldInfo

from edge_agent.contracts import Check, CheckState, Contract, Metrics, Percentiles, ShadowMetrics
from edge_agent.errors import PrometheusPortTaken
from edge_agent.monitoring.prometheus.settings import PrometheusSettings

_PREFIX = "leukoscope"
_OTHER_HOST = "Set prometheus.host to an address of this device, or to 127.0.0.1."


class Exporter(Collector):
    """The endpoint. Its figures are those of the last ``metrics`` message, up to half a minute old."""

    def __init__(self, settings: PrometheusSettings) -> None:
        """Serve from now on. Raises ``PrometheusPortTaken``."""
        self._metrics: Metrics | None = None
        self._checks: tuple[Check, ...] = ()
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

    def set_checks(self, checks: tuple[Check, ...]) -> None:
        """Serve these from now on."""
        self._checks = checks

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterable[Metric]:
        """Called by the client library for each scrape."""
        yield from _health(self._checks)
        if self._metrics is None:
            return
        yield _latency(self._metrics.latency_ms)
        yield from _figures(self._metrics)
        if self._metrics.shadow is not None:
            yield from _shadow(self._metrics.shadow)


def _health(checks: tuple[Check, ...]) -> Iterator[Metric]:
    """Unknown checks are left out of the first family, so that no alert fires on them."""
    ok = GaugeMetricFamily(
        f"{_PREFIX}_check_ok",
        "1 if the check found no fault, 0 if it did; left out where nothing can be measured",
        labels=["check", "code"],
    )
    state = GaugeMetricFamily(
        f"{_PREFIX}_check_state", "1 for the state that the check is in, else 0", labels=["check", "state"]
    )
    for check in checks:
        if check.state is not CheckState.UNKNOWN:
            ok.add_metric([check.name, check.code or ""], float(check.state is CheckState.OK))
        for each in CheckState:
            state.add_metric([check.name, each], float(check.state is each))
    yield ok
    yield state


def _figures(metrics: Metrics) -> Iterator[Metric]:
    """Every number of the message, named after its fields; null is left out."""
    for name, field in type(metrics).model_fields.items():
        value = getattr(metrics, name)
        if isinstance(value, Contract):
            for inner, inner_field in type(value).model_fields.items():
                yield from _figure(f"{name}_{inner}", inner_field, getattr(value, inner))
        else:
            yield from _figure(name, field, value)


def _figure(name: str, field: FieldInfo, value: object) -> Iterator[Metric]:
    if isinstance(value, int | float):
        explanation = (field.description or name.replace("_", " ")).removesuffix(".")
        yield GaugeMetricFamily(f"{_PREFIX}_{name}", explanation, value=value)


def _shadow(shadow: ShadowMetrics) -> Iterator[Metric]:
    """What is no plain number in the figures of a candidate; the others are among the message's figures."""
    refusals = GaugeMetricFamily(
        f"{_PREFIX}_shadow_refusals_count",
        "Fields that the model in use, or the candidate beside it, gave no label, by reason",
        labels=["by", "reason"],
    )
    for by, counts in (("active", shadow.active_refusals_count), ("candidate", shadow.candidate_refusals_count)):
        for reason, count in counts.items():
            refusals.add_metric([by, reason], count)
    yield refusals
    if shadow.latency_ms is not None:
        yield _quantiles(
            GaugeMetricFamily(
                f"{_PREFIX}_shadow_latency_ms",
                "Time of the candidate's analysis of its newest fields, as quantiles",
                labels=["quantile"],
            ),
            (),
            shadow.latency_ms,
        )


def _latency(latency: dict[str, Percentiles]) -> Metric:
    family = GaugeMetricFamily(
        f"{_PREFIX}_latency_ms",
        "Latency per stage over the last half minute, as quantiles",
        labels=["stage", "quantile"],
    )
    for stage, percentiles in latency.items():
        _quantiles(family, (stage,), percentiles)
    return family


def _quantiles(family: GaugeMetricFamily, labels: tuple[str, ...], percentiles: Percentiles) -> GaugeMetricFamily:
    """``family`` with the percentiles added, each with its quantile as the last label."""
    for quantile, value in (("0.5", percentiles.p50_ms), ("0.95", percentiles.p95_ms), ("0.99", percentiles.p99_ms)):
        family.add_metric([*labels, quantile], value)
    return family
