"""The requests that the microscope page's server answers. All of them are read-only.

* ``/``: the page, with ``page.js`` and ``page.css``.
* ``/reasons.json``: the sentence and the next step of each reason that a result may have, by its code.
* ``/reading.json``: the latest result as it is published; 204 before the first.
* ``/field.jpg?id=...``: the field of the reading with that id, its nuclei outlined; 404 if that reading has no field or
  is too old. Without an id, the latest reading's; 204 if it has none.
* ``/evidence.png``: the legend of the tint on a field.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from uuid import UUID

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from edge_agent.contracts import Reason
from edge_agent.web.hosts import HostRule
from edge_agent.web.picture import draw_explanation, draw_scale, to_jpeg, to_png
from edge_agent.web.recent import RecentReadings, ShownReading

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob:; connect-src 'self'; "
    "script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_REASONS = {reason.value: {"sentence": reason.sentence, "next_step": reason.next_step} for reason in Reason}


def make_app(recent: RecentReadings, hosts: HostRule) -> Starlette:
    """The application. Requests for a host that ``hosts`` does not allow get 400."""

    def reading(_request: Request) -> Response:
        shown = recent.latest()
        if shown is None:
            return Response(status_code=204)
        return Response(shown.result.to_json(), media_type="application/json")

    def field(request: Request) -> Response:
        wanted = request.query_params.get("id", request.url.query)
        if not wanted:
            latest = recent.latest()
            return (_field_picture(latest) if latest is not None else None) or Response(status_code=204)
        shown = _find(recent, wanted)
        return (_field_picture(shown) if shown is not None else None) or PlainTextResponse(
            "There is no picture of that reading, or it is no longer kept.", status_code=404
        )

    return Starlette(
        routes=[
            Route("/", lambda _request: HTMLResponse(_asset("page.html"))),
            Route("/page.js", lambda _request: Response(_asset("page.js"), media_type="text/javascript")),
            Route("/page.css", lambda _request: Response(_asset("page.css"), media_type="text/css")),
            Route("/reasons.json", lambda _request: JSONResponse(_REASONS)),
            Route("/reading.json", reading),
            Route("/field.jpg", field),
            Route("/evidence.png", lambda _request: Response(to_png(draw_scale()), media_type="image/png")),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_guard(hosts))],
    )


def _guard(hosts: HostRule) -> Callable[[Request, RequestResponseEndpoint], Awaitable[Response]]:
    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        host = request.headers.get("host", "")
        if hosts.allows(host):
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


def _find(recent: RecentReadings, wanted: str) -> ShownReading | None:
    try:
        return recent.find(UUID(wanted))
    except ValueError:
        return None


def _field_picture(shown: ShownReading) -> Response | None:
    explanation = shown.reading.explanation
    if explanation is None:
        return None
    result = shown.result
    labels = list(result.probabilities or ())
    explained = labels.index(result.label) if result.label in labels else None
    return Response(
        to_jpeg(draw_explanation(explanation, explained)),
        media_type="image/jpeg",
        headers={"X-Reading-Id": str(result.id)},
    )


def _asset(name: str) -> str:
    return resources.files("edge_agent.web").joinpath(name).read_text(encoding="utf-8")
