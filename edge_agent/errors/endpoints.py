"""What the device serves: the microscope page and the Prometheus endpoint."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class PrometheusMissing(EdgeAgentError):
    """The Prometheus endpoint is wanted but its package is not installed."""

    code = "prometheus_missing"
    remedy = "Install the extra: pip install 'leukoscope[prometheus]', or set prometheus.enabled = false."


class PrometheusPortTaken(EdgeAgentError):
    """The Prometheus endpoint's address cannot be listened on."""

    code = "prometheus_port_taken"
    remedy = "Choose another prometheus.port, or end the program that has it."


class WebMissing(EdgeAgentError):
    """The live view is wanted but its packages are not installed."""

    code = "web_missing"
    remedy = "Install the extra: pip install 'leukoscope[web]', or set web.enabled = false."


class WebPortTaken(EdgeAgentError):
    """The live view's address cannot be listened on."""

    code = "web_port_taken"
    remedy = "Choose another web.port, or end the program that has it."
