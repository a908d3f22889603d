"""What the device serves: the microscope page and the Prometheus endpoint."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class PrometheusMissing(EdgeAgentError):
    """The Prometheus endpoint is enabled, but its package is not installed."""

    code = "prometheus_missing"
    remedy = "Install the extra: pip install 'leukoscope[prometheus]', or set prometheus.enabled = false."


class PrometheusPortTaken(EdgeAgentError):
    """The Prometheus endpoint cannot listen on its address."""

    code = "prometheus_port_taken"
    remedy = "Choose another prometheus.port, or stop the program that uses it."


class WebMissing(EdgeAgentError):
    """The microscope page is enabled, but its packages are not installed."""

    code = "web_missing"
    remedy = "Install the extra: pip install 'leukoscope[web]', or set web.enabled = false."


class WebPortTaken(EdgeAgentError):
    """The microscope page cannot listen on its address."""

    code = "web_port_taken"
    remedy = "Choose another web.port, or stop the program that uses it."
