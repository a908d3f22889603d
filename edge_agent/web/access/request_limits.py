"""Bounds each request to the microscope page before anything else processes it."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_agent.errors import BodyTimeout, BodyTooLarge, WebBusy
from edge_agent.web.refusals import refuse_with

MAX_BODY_BYTES = 64 * 1024
MAX_REQUESTS = 64
"""Requests that are answered at the same time: a viewer has two that last, its events and its picture."""

BODY_S = 20.0


class RequestLimits:
    """Lets a request through once its whole body has arrived, if the body is small and came in time.

    A refused request's connection is closed, so that the rest of its body is never read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_requests: int = MAX_REQUESTS,
        body_s: float = BODY_S,
    ) -> None:
        """``body_s`` is how long a body may take."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_requests = max_requests
        self._body_s = body_s
        self._running_count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or open a WebSocket."""
        if self._running_count >= self._max_requests:
            busy = WebBusy(f"The microscope page answers {self._max_requests} requests already.")
            await _close_with(refuse_with(503, busy), scope, receive, send)
            return
        self._running_count += 1
        try:
            if scope["type"] == "http":
                await self._with_body(scope, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            self._running_count -= 1

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._body_s):
                body = await self._read(Headers(scope=scope), receive)
        except TimeoutError:
            late = BodyTimeout(f"The request's body was not complete after {self._body_s:g} s.")
            await _close_with(refuse_with(408, late), scope, receive, send)
            return
        except BodyTooLarge as error:
            await _close_with(refuse_with(413, error), scope, receive, send)
            return
        if body is None:
            return
        given = False

        async def receive_all() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_all, send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        """The body; None if the client went away. Raises ``BodyTooLarge``."""
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The request's body is larger than {self._max_body_bytes // 1024} KiB.")


async def _close_with(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
