"""``/live``: the moving picture of the camera, over a web socket.

A viewer sends ``{"next": true, "region": [x, y, w, h], "max_width_px": n}`` once it has drawn a picture, and gets the
newest picture in one binary message (see ``LiveFrame.message``): each viewer at its own pace, without a queue. While no
picture comes, a ``NoPicture`` as text says why, at least every second. A message that is not understood is answered
with its error, and the connection is closed with 1008; with too many viewers it is closed with 1013.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from edge_agent.errors import AccessDenied, EdgeAgentError, RequestInvalid, WebBusy
from edge_agent.web.access.roles import Role, role_of
from edge_agent.web.live.hub import LiveHub, TooManyViewers, Viewer
from edge_agent.web.live.messages import read_request
from edge_agent.web.refusals import refuse_with

SILENCE_S = 0.9
"""Longest time without a message to a viewer who waits."""
SEND_S = 30.0
"""A viewer whose connection accepts nothing for this long is gone."""

_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013

_TOO_MANY = WebBusy("Too many pages show the moving picture.")


def live_routes(hub: LiveHub) -> list[BaseRoute]:
    """The moving picture, for everyone who may look."""

    async def live(websocket: WebSocket) -> None:
        if role_of(websocket) < Role.LOOK:
            await websocket.send_denial_response(refuse_with(401, AccessDenied("Nobody is logged in.")))
            return
        await websocket.accept()
        inbox = _Inbox()
        try:
            viewer = hub.join(inbox.put)
        except TooManyViewers:
            await _close(websocket, _TRY_AGAIN_LATER, _TOO_MANY)
            return
        try:
            await _serve(websocket, hub, viewer, inbox)
        finally:
            viewer.leave()

    return [WebSocketRoute("/live", live)]


async def _serve(websocket: WebSocket, hub: LiveHub, viewer: Viewer, inbox: _Inbox) -> None:
    """Serve until the viewer leaves, or sends something that is not understood."""
    tasks = asyncio.create_task(_listen(websocket, viewer)), asyncio.create_task(_show(websocket, hub, viewer, inbox))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for error in [task.exception() for task in tasks if not task.cancelled()]:
        if isinstance(error, RequestInvalid):
            await _close(websocket, _POLICY_VIOLATION, error)
        # The viewer left, or its connection is stuck.
        elif error is not None and not isinstance(error, WebSocketDisconnect | TimeoutError):
            raise error


async def _listen(websocket: WebSocket, viewer: Viewer) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            raise RequestInvalid("A request is text, not binary data.")
        viewer.ask(read_request(text))


async def _show(websocket: WebSocket, hub: LiveHub, viewer: Viewer, inbox: _Inbox) -> None:
    while True:
        picture = await inbox.take(SILENCE_S)
        async with asyncio.timeout(SEND_S):
            if picture is not None:
                await websocket.send_bytes(picture)
            elif viewer.waits:
                await websocket.send_text(hub.absence.to_json().decode())


class _Inbox:
    """Brings messages from the hub's thread to the connection's event loop. A newer message replaces a waiting one."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._message: bytes | None = None

    def put(self, message: bytes) -> None:
        """Called in the hub's thread."""
        # The loop has ended if the server stops at this moment.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._fill, message)

    async def take(self, timeout_s: float) -> bytes | None:
        """The waiting message; None if none comes in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._filled.wait()
        self._filled.clear()
        message, self._message = self._message, None
        return message

    def _fill(self, message: bytes) -> None:
        self._message = message
        self._filled.set()


async def _close(websocket: WebSocket, code: int, error: EdgeAgentError) -> None:
    """Send the error, and close the connection. The close frame's reason has room only for the code."""
    refusal = {"code": error.code, "message": error.message, "remedy": error.remedy}
    with contextlib.suppress(WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(SEND_S):
            await websocket.send_text(json.dumps(refusal))
            await websocket.close(code, error.code)
