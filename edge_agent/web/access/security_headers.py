"""Adds headers that keep browsers from doing more with the microscope page than it needs."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob: data:; connect-src 'self'; "
    "script-src 'self'; style-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_STRICT_TRANSPORT = "max-age=31536000"


class SecurityHeaders:
    """Adds the headers to every answer. An answer that does not say how long it may be cached is not cached."""

    def __init__(self, app: ASGIApp, *, strict_transport: bool) -> None:
        """``strict_transport`` is for a certificate that browsers trust: with any other they could not return."""
        self._app = app
        self._headers = _HEADERS | ({"Strict-Transport-Security": _STRICT_TRANSPORT} if strict_transport else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or open a WebSocket."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)
