"""Refuses requests that another web page makes a visitor's browser send to this device (cross-site request forgery).

The browser would add the session's cookie, and where no password is needed, every page in it could give commands. But
browsers say where a request comes from (``Sec-Fetch-Site``, W3C Fetch Metadata; before that ``Origin``), and send
``application/json`` to another site only if that site agrees beforehand, which this device never does.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from edge_agent.errors import CrossSite
from edge_agent.web.refusals import refuse_with

_SAFE = {"GET", "HEAD", "OPTIONS"}
_OWN_SITE = {"same-origin", "none"}
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_HOST = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_USUAL_PORTS = {"http": 80, "https": 443}


def is_own_origin(origin: str, host: str, *, encrypted: bool) -> bool:
    """Whether a request's ``Origin`` is the page that its ``Host`` names.

    Behind a proxy that adds TLS the page's origin is https, although the request arrives without it.
    """
    page, device = _ORIGIN.fullmatch(origin.lower()), _HOST.fullmatch(host.lower())
    if page is None or device is None or (encrypted and page["scheme"] != "https"):
        return False
    usual = _USUAL_PORTS[page["scheme"]]
    return page["host"] == device["host"] and int(page["port"] or usual) == int(device["port"] or usual)


class CrossSiteGuard:
    """Answers 403 to changes and WebSockets that another page may have caused. A token proves that no page did."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or open a WebSocket."""
        problem = None if scope.get("by_token") else _problem(scope)
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await refuse_with(403, CrossSite(problem))(scope, receive, send)


def _problem(scope: Scope) -> str | None:
    headers = Headers(scope=scope)
    if scope["type"] == "websocket":
        return None if _comes_from_the_page(scope, headers) else "The live picture was asked for by another page."
    if scope["method"] in _SAFE:
        return None
    site = headers.get("sec-fetch-site")
    if not (site in _OWN_SITE if site is not None else _comes_from_the_page(scope, headers)):
        return "The request was caused by another page."
    if _is_json(headers) or (scope["method"] == "DELETE" and not _has_body(headers)):
        return None
    return "The request's content is not application/json."


def _comes_from_the_page(scope: Scope, headers: Headers) -> bool:
    encrypted = scope.get("scheme") in {"https", "wss"}
    return is_own_origin(headers.get("origin", ""), headers.get("host", ""), encrypted=encrypted)


def _is_json(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
