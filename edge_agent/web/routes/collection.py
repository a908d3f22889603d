"""``/collection``: kept frames, their labels, and the data set made of them.

* ``GET /collection``: the ``CollectionState``.
* ``GET /collection/next?set=&queue=``: the frame to be labelled now (``Offered``); 204 if the queue is empty.
  ``queue`` is ``unlabelled``, the default, or ``second-look``.
* ``GET /collection/items/ID.jpg``: the picture of a kept frame.
* ``POST /collection/labels`` ``{"item", "set", "label", "id"?}``: the ``LabelEntry``, which is on the disk then. A new
  UUID as ``id`` makes it safe to send it again.
* ``POST /collection/undo`` ``{"set", "id"?}``: the ``LabelEntry`` that does not count any more: the one with that id,
  else the last one of this role.
* ``POST /collection/keep`` ``{"reading"}``: 204 once the frame of that reading is kept.
* ``GET /collection/export.zip?set=``: the labelled frames for the trainer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from edge_agent.collection.collection import Collection
from edge_agent.contracts.base import CanonicalUuid
from edge_agent.errors import (
    BodyTooLarge,
    CollectionBusy,
    CollectionEmpty,
    CollectionFull,
    DiskFull,
    DiskLow,
    EdgeAgentError,
    FrameNotKept,
    LabelInvalid,
)
from edge_agent.web.access.roles import Endpoint, Role, requires, role_of
from edge_agent.web.bodies import Body, TooLarge, read_body
from edge_agent.web.refusals import refuse_invalid, refuse_with

_PIECE_BYTES = 256 * 1024
_IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
_FRESH = {"Cache-Control": "no-store"}

_STATUS: dict[type[EdgeAgentError], int] = {
    LabelInvalid: 400,
    FrameNotKept: 404,
    CollectionEmpty: 409,
    CollectionBusy: 503,
    CollectionFull: 507,
    DiskFull: 507,
    DiskLow: 507,
}


class _Label(Body):
    item: CanonicalUuid
    set: str
    label: str
    id: CanonicalUuid | None = None


class _Undo(Body):
    set: str
    id: CanonicalUuid | None = None


class _Keep(Body):
    reading: CanonicalUuid


def collection_routes(collection: Collection) -> list[BaseRoute]:
    """The collection: roles that look may see it, those that work may label, and administrators may export."""
    desk = _Desk(collection)
    look, work, administer = requires(Role.LOOK), requires(Role.WORK), requires(Role.ADMINISTER)
    return [
        Route("/collection", look(_explained(desk.state))),
        Route("/collection/next", work(_explained(desk.next))),
        Route("/collection/items/{id}.jpg", look(_explained(desk.picture))),
        Route("/collection/labels", work(_explained(desk.label)), methods=["POST"]),
        Route("/collection/undo", work(_explained(desk.undo)), methods=["POST"]),
        Route("/collection/keep", work(_explained(desk.keep)), methods=["POST"]),
        Route("/collection/export.zip", administer(_explained(desk.export))),
    ]


def _explained(endpoint: Endpoint) -> Endpoint:
    """Answer errors of the collection and of the request as JSON."""

    @wraps(endpoint)
    async def explained(request: Request) -> Response:
        try:
            return await endpoint(request)
        except TooLarge:
            return refuse_with(413, BodyTooLarge("The request is too large."))
        except EdgeAgentError as error:
            return refuse_with(_STATUS.get(type(error), 503), error)
        except ValidationError as error:
            return refuse_invalid(error)

    return explained


class _Desk:
    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def state(self, _request: Request) -> Response:
        state = await asyncio.to_thread(self._collection.state)
        return _json(state.to_json())

    async def next(self, request: Request) -> Response:
        query = request.query_params
        offered = await asyncio.to_thread(self._collection.next, self._set(request), query.get("queue", "unlabelled"))
        return Response(status_code=204, headers=_FRESH) if offered is None else _json(offered.to_json())

    async def picture(self, request: Request) -> Response:
        try:
            item = UUID(request.path_params["id"])
        except ValueError as error:
            raise FrameNotKept("That is not the id of a frame.") from error
        content = await asyncio.to_thread(self._collection.picture, item)
        return Response(content, media_type="image/jpeg", headers=_IMMUTABLE)

    async def label(self, request: Request) -> Response:
        body = _Label.model_validate_json(await read_body(request))
        by = role_of(request).code
        entry = await asyncio.to_thread(
            self._collection.label, body.item, body.set, body.label, by=by, entry_id=body.id
        )
        return _json(entry.to_json())

    async def undo(self, request: Request) -> Response:
        body = _Undo.model_validate_json(await read_body(request))
        by = role_of(request).code
        entry = await asyncio.to_thread(self._collection.undo, body.set, by=by, entry_id=body.id)
        return _json(entry.to_json())

    async def keep(self, request: Request) -> Response:
        body = _Keep.model_validate_json(await read_body(request))
        await asyncio.to_thread(self._collection.keep, body.reading)
        return Response(status_code=204)

    async def export(self, request: Request) -> Response:
        set_name = self._set(request)
        path = await asyncio.to_thread(self._collection.export_zip, set_name)
        file, size_bytes = await asyncio.to_thread(_take, path)
        return StreamingResponse(
            _pieces(file),
            media_type="application/zip",
            headers={
                **_FRESH,
                "Content-Length": str(size_bytes),
                "Content-Disposition": f'attachment; filename="leukoscope-{set_name}.zip"',
            },
        )

    def _set(self, request: Request) -> str:
        """The set that the address names; if there is only one set, it need not be named."""
        sets = self._collection.sets
        name = request.query_params.get("set") or (next(iter(sets)) if len(sets) == 1 else "")
        return self._collection.find_set(name).name


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json", headers=_FRESH)


def _take(path: Path) -> tuple[BinaryIO, int]:
    """Open a file that disappears once it is closed, however that happens."""
    file = path.open("rb")
    path.unlink()
    return file, _size_of(file)


def _size_of(file: BinaryIO) -> int:

    size = file.seek(0, 2)
    file.seek(0)
    return size


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
