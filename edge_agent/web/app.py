"""Pages of the live view: one page, one picture, one JSON document. It only shows; it changes nothing."""

from __future__ import annotations

import threading
from importlib import resources

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from edge_agent.analysis.analyzer import Reading
from edge_agent.contracts import Result
from edge_agent.web.picture import draw_explanation, to_jpeg

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob:; connect-src 'self'; "
    "script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Latest:
    """The latest reading. Set by the analysis thread, which it costs nothing; read by the server's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pair: tuple[Result, Reading] | None = None

    def set(self, result: Result, reading: Reading) -> None:
        """Replace what is shown."""
        with self._lock:
            self._pair = (result, reading)

    def get(self) -> tuple[Result, Reading] | None:
        """What is to be shown; None before the first reading."""
        with self._lock:
            return self._pair


def make_app(latest: Latest, allowed_hosts: list[str]) -> Starlette:
    """The application. Requests that name another host are refused, so that no web page can reach it by a trick."""

    def reading(_request: Request) -> Response:
        pair = latest.get()
        if pair is None:
            return Response(status_code=204)
        return Response(pair[0].to_json(), media_type="application/json")

    def field(_request: Request) -> Response:
        pair = latest.get()
        explanation = pair[1].explanation if pair is not None else None
        if pair is None or explanation is None:
            return Response(status_code=204)
        labels = list(pair[0].probabilities or ())
        shown = labels.index(pair[0].label) if pair[0].label in labels else None
        return Response(to_jpeg(draw_explanation(explanation, shown)), media_type="image/jpeg")

    return Starlette(
        routes=[
            Route("/", lambda _request: HTMLResponse(_asset("page.html"))),
            Route("/page.js", lambda _request: Response(_asset("page.js"), media_type="text/javascript")),
            Route("/page.css", lambda _request: Response(_asset("page.css"), media_type="text/css")),
            Route("/reading.json", reading),
            Route("/field.jpg", field),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts),
            Middleware(BaseHTTPMiddleware, dispatch=_add_headers),
        ],
    )


async def _add_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response


def _asset(name: str) -> str:
    return resources.files("edge_agent.web").joinpath(name).read_text(encoding="utf-8")
