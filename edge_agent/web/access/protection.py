"""The guards that a request to the microscope page has to pass before a route sees it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from edge_agent.web.access.access import Access, AccessGuard
from edge_agent.web.access.cross_site import CrossSiteGuard
from edge_agent.web.access.hosts import HostGuard, HostRule
from edge_agent.web.access.request_limits import RequestLimits
from edge_agent.web.access.security_headers import SecurityHeaders


def protect(app: ASGIApp, access: Access, hosts: HostRule, *, strict_transport: bool = False) -> ASGIApp:
    """The whole application behind its guards, the outermost last.

    Refusals get the headers too, and a request costs nothing before its size is known and its host is this device.
    ``strict_transport`` is for a certificate that browsers trust.
    """
    guarded: ASGIApp = CrossSiteGuard(app)
    guarded = AccessGuard(guarded, access)
    guarded = HostGuard(guarded, hosts)
    guarded = RequestLimits(guarded)
    guarded = SecurityHeaders(guarded, strict_transport=strict_transport)

    async def protected(scope: Scope, receive: Receive, send: Send) -> None:
        # Anything that is neither a request nor a WebSocket is the server's own.
        await (guarded if scope["type"] in {"http", "websocket"} else app)(scope, receive, send)

    return protected
