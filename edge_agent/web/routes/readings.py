"""``/readings``: the last readings of this device with their pictures. A URL with an id always has the same content."""

from __future__ import annotations

import asyncio
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from edge_agent.contracts import Reason
from edge_agent.errors import ReadingNotKept
from edge_agent.web.access.roles import Role, requires
from edge_agent.web.device import Device
from edge_agent.web.history import KEPT_COUNT, Filter, History, ShownReading
from edge_agent.web.layers import draw_legend, to_png
from edge_agent.web.pictures import ReadingPicture
from edge_agent.web.refusals import refuse_invalid, refuse_with

_IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}

_REASONS = {reason.value: {"sentence": reason.sentence, "next_step": reason.next_step} for reason in Reason}

_PICTURES = {
    "field.jpg": lambda picture: picture.jpeg,
    "thumbnail.jpg": lambda picture: picture.thumbnail,
    "cells.jpg": lambda picture: picture.crops,
    "nuclei.png": lambda picture: picture.nuclei_png,
    "evidence.png": ReadingPicture.evidence_png,
}


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")

    outcome: str | None = None
    reason: str | None = None
    label: str | None = None
    specimen: str | None = None
    slide: int | None = None
    limit: int = Field(default=KEPT_COUNT, ge=1, le=KEPT_COUNT)


def reading_routes(device: Device, history: History) -> list[BaseRoute]:
    """Readings, for everyone who may look."""
    shelf = _Shelf(device, history)
    look = requires(Role.LOOK)
    return [
        Route("/readings", look(shelf.readings)),
        Route("/readings/{id}", look(shelf.reading)),
        Route("/readings/{id}/{name}", look(shelf.picture)),
        Route("/evidence-legend.png", look(_legend)),
        Route("/reasons.json", look(_reasons)),
    ]


class _Shelf:
    def __init__(self, device: Device, history: History) -> None:
        self._device = device
        self._history = history

    async def readings(self, request: Request) -> Response:
        try:
            query = _Query.model_validate(dict(request.query_params))
        except ValidationError as error:
            return refuse_invalid(error)
        wanted = Filter(query.outcome, query.reason, query.label, query.specimen, query.slide)
        found = self._history.select(wanted.fits, query.limit)
        return JSONResponse({"kept_max_count": KEPT_COUNT, "readings": [_summary(shown) for shown in found]})

    async def reading(self, request: Request) -> Response:
        shown = self._find(request)
        if shown is None:
            return _gone()
        limits = (await asyncio.to_thread(self._device.state)).quality_limits
        return JSONResponse(
            {
                "result": shown.result.model_dump(mode="json", by_alias=True),
                "labels": [label.model_dump(mode="json") for label in shown.labels],
                "types": [label.model_dump(mode="json") for label in shown.types],
                "picture": None if shown.picture is None else _describe(shown.picture),
                "quality_limits": limits,
            }
        )

    async def picture(self, request: Request) -> Response:
        name = request.path_params["name"]
        shown = self._find(request)
        if shown is None or shown.picture is None or name not in _PICTURES:
            return _gone()
        content = await asyncio.to_thread(_PICTURES[name], shown.picture)
        if content is None:
            return _gone()
        kind = "image/jpeg" if name.endswith(".jpg") else "image/png"
        return Response(content, media_type=kind, headers=_IMMUTABLE)

    def _find(self, request: Request) -> ShownReading | None:
        try:
            return self._history.find(UUID(request.path_params["id"]))
        except ValueError:
            return None


async def _legend(_request: Request) -> Response:
    return Response(to_png(draw_legend()), media_type="image/png", headers=_IMMUTABLE)


async def _reasons(_request: Request) -> Response:
    return JSONResponse(_REASONS)


def _gone() -> Response:
    return refuse_with(404, ReadingNotKept("There is no such reading or picture, or it is no longer kept."))


def _summary(shown: ShownReading) -> dict[str, object]:
    result = shown.result
    return {
        "id": str(result.id),
        "seq": result.seq,
        "captured_at": result.captured_at.isoformat(),
        "outcome": result.outcome,
        "reason": result.reason,
        "error_code": None if result.error is None else result.error.code,
        "label": result.label,
        "malignant": result.malignant,
        "nuclei_count": None if result.nuclei is None else result.nuclei.count,
        "specimen": None if result.specimen is None else result.specimen.model_dump(mode="json"),
        "demonstration": result.demonstration,
        "has_picture": shown.picture is not None,
    }


def _describe(picture: ReadingPicture) -> dict[str, object]:
    return {
        "width_px": picture.width_px,
        "height_px": picture.height_px,
        "field": picture.region,
        "turned": picture.turned,
        "has_evidence": picture.explained,
        "frame_size_px": picture.frame_size_px,
        "foremost": picture.foremost,
    }
