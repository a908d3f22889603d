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


class AccessDenied(EdgeAgentError):
    """Nobody is logged in to the microscope page, or the password or token is wrong."""

    code = "access_denied"
    remedy = "Log in on the microscope page. A lost password is replaced with 'edge-agent web password'."


class RoleInsufficient(EdgeAgentError):
    """The role that is logged in to the microscope page may not do this."""

    code = "role_insufficient"
    remedy = "Log in with the password of a role that may."


class TooManyAttempts(EdgeAgentError):
    """Too many wrong passwords were typed on the microscope page."""

    code = "too_many_attempts"
    remedy = "Wait a few minutes, then try again."

    def __init__(self, message: str, *, wait_s: int) -> None:
        """``wait_s`` is how long until the next attempt."""
        super().__init__(message)
        self.wait_s = wait_s


class CrossSite(EdgeAgentError):
    """A request to the microscope page did not come from the page itself."""

    code = "cross_site"
    remedy = "Use the page of this device. A program sends a token (Authorization: Bearer) and application/json."


class HostForeign(EdgeAgentError):
    """The microscope page was opened under a name that is not this device's."""

    code = "host_foreign"
    remedy = "Open the page by the device's address, or add the name to web.allowed_hosts in agent.toml."


class RequestInvalid(EdgeAgentError):
    """A request to the microscope page cannot be understood."""

    code = "request_invalid"
    remedy = "Reload the page. A program follows the documentation."


class BodyTooLarge(EdgeAgentError):
    """A request to the microscope page carries more than it may."""

    code = "body_too_large"
    remedy = "Send less; nothing that the page takes is that large."


class BodyTimeout(EdgeAgentError):
    """A request to the microscope page did not arrive in time."""

    code = "body_timeout"
    remedy = "Check the network between the browser and the device, and try again."


class WebBusy(EdgeAgentError):
    """The microscope page answers as many requests as it can."""

    code = "web_busy"
    remedy = "Close the page where nobody looks at it, and try again."


class ReadingNotKept(EdgeAgentError):
    """The microscope page keeps the last readings only, and this is none of them, or it has no such picture."""

    code = "reading_not_kept"
    remedy = "Open the history, which has those that are kept."


class CommandUnanswered(EdgeAgentError):
    """The device did not answer a command from the microscope page in time."""

    code = "command_unanswered"
    remedy = "Look at the device's health; if it stays so, restart the agent."
