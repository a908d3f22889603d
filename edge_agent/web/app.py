"""The microscope page's application: its parts, and the requests that they answer.

``/`` is the page. ``edge_agent.web.routes`` has a module for each group of the page's requests.
"""

from __future__ import annotations

from starlette.applications import Starlette

from edge_agent.web.access.access import Access
from edge_agent.web.broadcast import Broadcast
from edge_agent.web.device import Device
from edge_agent.web.history import History
from edge_agent.web.live.hub import LiveHub
from edge_agent.web.routes.assets import asset_routes
from edge_agent.web.routes.collection import collection_routes
from edge_agent.web.routes.commands import command_routes
from edge_agent.web.routes.events import event_routes
from edge_agent.web.routes.live import live_routes
from edge_agent.web.routes.readings import reading_routes
from edge_agent.web.routes.session import session_routes
from edge_agent.web.routes.slides import slides_routes
from edge_agent.web.routes.teaching import teaching_routes


def make_app(device: Device, history: History, broadcast: Broadcast, hub: LiveHub, access: Access) -> Starlette:
    """The application, to be served behind ``protect`` only."""
    return Starlette(
        routes=[
            *asset_routes(),
            *event_routes(device, history, broadcast),
            *reading_routes(device, history),
            *command_routes(device),
            *live_routes(hub),
            *slides_routes(device.reports, lambda: device.state().slide),
            *(collection_routes(device.collection) if device.collection is not None else ()),
            *(teaching_routes(device.adaptation) if device.adaptation is not None else ()),
            *session_routes(access),
        ]
    )
