"""``/commands/{name}``: the commands of the MQTT contract from the page, with the same answers."""

from __future__ import annotations

import asyncio
import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from edge_agent.commands.dispatcher import COMMAND_LIMIT_S
from edge_agent.contracts import AnswerState, CommandName
from edge_agent.errors import CommandUnanswered
from edge_agent.mqtt import Request as CommandRequest
from edge_agent.web.access.roles import Role, requires, role_of
from edge_agent.web.device import Device
from edge_agent.web.refusals import refuse_with

_ADMINISTERED = {CommandName.SELECT_MODEL, CommandName.SHADOW_MODEL, CommandName.GET_CONFIG}

_STATUS = {AnswerState.DONE: 200, AnswerState.REFUSED: 409, AnswerState.FAILED: 500}


def command_routes(device: Device) -> list[BaseRoute]:
    """Commands, for those who may work with the device or administer it."""

    async def carry_out(request: Request) -> Response:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes] = loop.create_future()

        def settle(answer: bytes) -> None:
            if not answered.done():
                answered.set_result(answer)

        def reply(answer: bytes) -> None:
            loop.call_soon_threadsafe(settle, answer)

        command = CommandRequest.local(request.path_params["name"], await request.body())
        device.submit(command, reply, by=f"page:{role_of(request).code}")
        try:
            answer = await asyncio.wait_for(answered, COMMAND_LIMIT_S)
        except TimeoutError:
            return refuse_with(504, CommandUnanswered("The device did not answer in time."))
        status = _STATUS[AnswerState(json.loads(answer)["state"])]
        return Response(answer, status_code=status, media_type="application/json")

    work, administer = requires(Role.WORK)(carry_out), requires(Role.ADMINISTER)(carry_out)

    async def command(request: Request) -> Response:
        return await (administer if request.path_params["name"] in _ADMINISTERED else work)(request)

    return [Route("/commands/{name}", command, methods=["POST"])]
