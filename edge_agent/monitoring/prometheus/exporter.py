"""Serves the last metrics and checks, in the form that Prometheus reads."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_agent.contracts import Check, CheckState, Metrics, Percentiles
from edge_agent.errors import PrometheusPortTaken
from edge_agent.monitoring.prometheus.settings import PrometheusSettings

_PREFIX = "leukoscope"


class Exporter(Collector):
    """The endpoint and what it shows. Figures are those of the last ``metrics`` message, up to half a minute old."""

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
        except OSError as error:
            address = f"{settings.host}:{settings.port}"
            raise PrometheusPortTaken(f"{address} cannot be listened on: {error.strerror}.") from error

    def set_metrics(self, metrics: Metrics) -> None:
        """Show these."""
        self._metrics = metrics

    def set_checks(self, checks: tuple[Check, ...]) -> None:
        """Show these."""
        self._checks = checks

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterable[Metric]:
        """What the client library asks for at each scrape."""
        checks = GaugeMetricFamily(f"{_PREFIX}_check_ok", "1 if the part is well", labels=["check", "code"])
        for check in self._checks:
            checks.add_metric([check.name, check.code or ""], float(check.state is CheckState.OK))
        yield checks
        if self._metrics is None:
            return
        yield _latency(self._metrics.latency_ms)
        values = self._metrics.model_dump(exclude={"latency_ms", "schema_", "use", "device", "session", "at"})
        for group, value in values.items():
            fields = value if isinstance(value, dict) else {group: value}
            for name, number in fields.items():
                if isinstance(number, int | float):
                    path = name if fields is not value else f"{group}_{name}"
                    yield GaugeMetricFamily(f"{_PREFIX}_{path}", path.replace("_", " "), value=number)


def _latency(latency: dict[str, Percentiles]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_latency_ms", "Per stage, over half a minute", labels=["stage", "quantile"])
    for stage, percentiles in latency.items():
        for quantile, value in (
            ("0.5", percentiles.p50_ms),
            ("0.95", percentiles.p95_ms),
            ("0.99", percentiles.p99_ms),
        ):
            family.add_metric([stage, quantile], value)
    return family
