"""The microscope page's application: its parts, and the requests that they answer.

``/`` is the page. ``edge_agent.web.routes`` has a module for each part of what it asks for.
"""

from __future__ import annotations

from importlib import resources

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from edge_agent.web.access import Access
from edge_agent.web.broadcast import Broadcast
from edge_agent.web.device import Device
from edge_agent.web.history import History
from edge_agent.web.routes.commands import command_routes
from edge_agent.web.routes.events import event_routes
from edge_agent.web.routes.readings import reading_routes
from edge_agent.web.routes.session import session_routes


def make_app(device: Device, history: History, broadcast: Broadcast, access: Access) -> Starlette:
    """The application, to be served behind ``protect`` only."""
    return Starlette(
        routes=[
            Route("/", lambda _request: HTMLResponse(_asset("page.html"))),
            Route("/page.js", lambda _request: Response(_asset("page.js"), media_type="text/javascript")),
            Route("/page.css", lambda _request: Response(_asset("page.css"), media_type="text/css")),
            *event_routes(device, history, broadcast),
            *reading_routes(device, history),
            *command_routes(device),
            *session_routes(access),
        ],
    )


def _asset(name: str) -> str:
    return resources.files("edge_agent.web").joinpath(name).read_text(encoding="utf-8")
