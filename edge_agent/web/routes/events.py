"""``/events``: the device's events, as server-sent events.

* ``state``: the ``DeviceState``; at once, and whenever it changes.
* ``reading``: a ``Result``, once its pictures can be fetched; at once if there is one.
* ``heartbeat``: the device's clock, every second, so that a lost connection is noticed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from edge_agent.errors import WebBusy
from edge_agent.web.access.roles import Role, requires
from edge_agent.web.broadcast import Broadcast, Happening, TooManyListeners
from edge_agent.web.device import Device
from edge_agent.web.history import History
from edge_agent.web.refusals import refuse_with

HEARTBEAT_S = 1.0


def event_routes(device: Device, history: History, broadcast: Broadcast) -> list[BaseRoute]:
    """The stream of events, for everyone who may look."""

    @requires(Role.LOOK)
    async def events(_request: Request) -> Response:
        listener = broadcast.listen()
        try:
            queue = await listener.__aenter__()
        except TooManyListeners:
            return refuse_with(503, WebBusy("Too many pages are open."))

        async def stream() -> AsyncIterator[ServerSentEvent]:
            try:
                async for happening in follow(device, history, queue):
                    yield ServerSentEvent(event=happening.name, data=happening.data)
            finally:
                await listener.__aexit__(None, None, None)

        return EventSourceResponse(stream(), ping=3600, headers={"Cache-Control": "no-store"})

    return [Route("/events", events)]


async def follow(
    device: Device, history: History, queue: asyncio.Queue[Happening | None], *, heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[Happening]:
    """The state and the latest reading, then the events, until the listener falls behind."""
    known = None
    latest = history.latest()
    if latest is not None:
        yield Happening("reading", latest.result.to_json().decode())
    while True:
        state = await asyncio.to_thread(device.state)
        # The clock differs each time.
        if state.model_copy(update={"at": None}) != known:
            known = state.model_copy(update={"at": None})
            yield Happening("state", state.to_json().decode())
        yield Happening("heartbeat", json.dumps({"at": datetime.now(UTC).isoformat()}))
        due = asyncio.get_running_loop().time() + heartbeat_s
        while (left_s := due - asyncio.get_running_loop().time()) > 0:
            try:
                happening = await asyncio.wait_for(queue.get(), left_s)
            except TimeoutError:
                break
            if happening is None:
                return
            yield happening
