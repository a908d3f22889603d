"""``/``: the page itself, with its scripts, styles and texts. They contain no secrets: everyone may fetch them."""

from __future__ import annotations

import hashlib
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


def asset_routes() -> list[BaseRoute]:
    """The files that come with the package, read once."""
    folder = resources.files("edge_agent.web").joinpath("assets")
    assets, locales = _Files(folder), _Files(folder.joinpath("locales"))
    return [
        Route("/", lambda request: assets.answer(request, "index.html")),
        Route("/assets/{file}", lambda request: assets.answer(request, request.path_params["file"])),
        Route("/locales/{file}", lambda request: locales.answer(request, request.path_params["file"])),
    ]


class _Files:
    def __init__(self, folder: Traversable) -> None:
        self._contents = {
            file.name: file.read_bytes() for file in folder.iterdir() if file.is_file() and _suffix(file.name) in _TYPES
        }

    def answer(self, request: Request, name: str) -> Response:
        content = self._contents.get(name)
        if content is None:
            return PlainTextResponse("There is no such file.", status_code=404)
        # Browsers check with the device each time, so that a page never runs scripts of another version.
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=_TYPES[_suffix(name)], headers=headers)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
