"""``/teaching``: the progress of teaching this microscope.

* ``GET /teaching``: the ``AdaptationState``.
* ``POST /teaching/figure`` ``{"set"}``: measure the accuracy with the labels so far, if it is not known; the state.

A head is fitted with the command ``adapt``, which ``cancel-adaptation`` ends, and used with ``select-model``.
"""

from __future__ import annotations

import asyncio

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from edge_agent.adaptation.adaptation import Adaptation
from edge_agent.errors import BodyTooLarge, EdgeAgentError, LabelInvalid
from edge_agent.web.access.roles import Role, requires
from edge_agent.web.bodies import Body, TooLarge, read_body
from edge_agent.web.refusals import refuse_invalid, refuse_with

_FRESH = {"Cache-Control": "no-store"}


class _Figure(Body):
    set: str | None = None


def teaching_routes(adaptation: Adaptation) -> list[BaseRoute]:
    """Teaching, for everyone who may look. Measuring needs the right to work with the device, since it takes time."""

    async def state(_request: Request) -> Response:
        try:
            found = await asyncio.to_thread(adaptation.state)
        except EdgeAgentError as error:
            return refuse_with(503, error)
        return _json(found.to_json())

    async def figure(request: Request) -> Response:
        try:
            body = _Figure.model_validate_json(await read_body(request))
            found = await asyncio.to_thread(adaptation.measure, body.set)
        except TooLarge:
            return refuse_with(413, BodyTooLarge("The request is too large."))
        except ValidationError as error:
            return refuse_invalid(error)
        except LabelInvalid as error:
            return refuse_with(400, error)
        except EdgeAgentError as error:
            return refuse_with(409, error)
        return _json(found.to_json())

    look, work = requires(Role.LOOK), requires(Role.WORK)
    return [Route("/teaching", look(state)), Route("/teaching/figure", work(figure), methods=["POST"])]


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json", headers=_FRESH)
