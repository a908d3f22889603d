"""The microscope page's application: its parts, and the requests that they answer.

``/`` is the page. ``edge_agent.web.routes`` has a module for each part of what it asks for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from edge_agent.web.broadcast import Broadcast
from edge_agent.web.device import Device
from edge_agent.web.history import History
from edge_agent.web.hosts import HostRule
from edge_agent.web.roles import Role
from edge_agent.web.routes.commands import command_routes
from edge_agent.web.routes.events import event_routes
from edge_agent.web.routes.readings import reading_routes

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob:; connect-src 'self'; "
    "script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(device: Device, history: History, broadcast: Broadcast, hosts: HostRule) -> Starlette:
    """The application. Requests for a host that ``hosts`` does not allow get 400."""
    return Starlette(
        routes=[
            Route("/", lambda _request: HTMLResponse(_asset("page.html"))),
            Route("/page.js", lambda _request: Response(_asset("page.js"), media_type="text/javascript")),
            Route("/page.css", lambda _request: Response(_asset("page.css"), media_type="text/css")),
            *event_routes(device, history, broadcast),
            *reading_routes(device, history),
            *command_routes(device),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_guard(hosts))],
    )


def _guard(hosts: HostRule) -> Callable[[Request, RequestResponseEndpoint], Awaitable[Response]]:
    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        host = request.headers.get("host", "")
        if hosts.allows(host):
            request.scope["role"] = Role.ADMINISTER
            response = await call_next(request)
        else:
            response = PlainTextResponse(
                "This device does not answer under that name. Open the page by the device's address, or add the name "
                "to web.allowed_hosts in agent.toml.",
                status_code=400,
            )
        response.headers.update(_HEADERS)
        return response

    return guard


def _asset(name: str) -> str:
    return resources.files("edge_agent.web").joinpath(name).read_text(encoding="utf-8")
