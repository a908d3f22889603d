"""The HTTP endpoint for Prometheus."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from edge_agent.collector.exporter.families import collector_metrics, fleet_metrics
from edge_agent.collector.exporter.fleet import Fleet
from edge_agent.collector.exporter.settings import ExporterSettings
from edge_agent.collector.figures import Figures
from edge_agent.errors import PrometheusPortTaken

_OTHER_HOST = "Set prometheus.host to an address of this machine, or to 127.0.0.1."


class Exporter(Collector):
    """Serves ``/metrics`` from threads of its own until it is stopped."""

    def __init__(self, settings: ExporterSettings, figures: Figures, fleet: Fleet, instance: str) -> None:
        """Serve from now on. Raises ``PrometheusPortTaken``."""
        self._figures, self._fleet, self._instance = figures, fleet, instance
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(settings.port, settings.host, registry)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "that is not a host name"
            host_is_wrong = isinstance(error, UnicodeError | socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
            raise PrometheusPortTaken(
                f"The endpoint cannot listen on {settings.host} port {settings.port}: {reason}.",
                remedy=_OTHER_HOST if host_is_wrong else None,
            ) from error

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterable[Metric]:
        """Called by the client library for each scrape."""
        yield from collector_metrics(self._figures, self._fleet, self._instance)
        yield from fleet_metrics(self._fleet)
