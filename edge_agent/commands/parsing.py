"""Parses a request and checks it against the contract."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from edge_agent.contracts import MAX_REQUEST_BYTES, REQUESTS, Command, CommandName
from edge_agent.contracts.base import CanonicalUuid
from edge_agent.errors import CommandInvalid, CommandUnknown
from edge_agent.mqtt import Request

NAME_MAX = 64
"""Number of characters of a command's name that are repeated in answers and events."""


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request that may be carried out."""

    name: CommandName
    command: Command
    digest: str
    """Equal for two requests with the same id and content."""


class _Identified(BaseModel):
    id: CanonicalUuid


def parse_request(request: Request) -> ParsedRequest:
    """Raises ``CommandInvalid``, ``CommandUnknown``."""
    if request.misdirected:
        raise CommandInvalid("The response topic is not below this device's 'answer/'.")
    try:
        name = CommandName(request.command)
    except ValueError as error:
        raise CommandUnknown(f"There is no command '{printable(request.command)}'.") from error
    if len(request.payload) > MAX_REQUEST_BYTES:
        raise CommandInvalid(f"The request has {len(request.payload)} bytes; at most {MAX_REQUEST_BYTES} are allowed.")
    try:
        command = REQUESTS[name].model_validate_json(request.payload)
    except ValidationError as error:
        raise CommandInvalid(_explain(error)) from error
    return ParsedRequest(name, command, hashlib.sha256(name.encode() + b"\0" + command.to_json()).hexdigest())


def request_id(payload: bytes) -> CanonicalUuid | None:
    """The id of a request that is otherwise invalid, so that its sender knows which one is answered."""
    try:
        return _Identified.model_validate_json(payload[:MAX_REQUEST_BYTES]).id
    except ValidationError:
        return None


def printable(text: str) -> str:
    """Text from outside, cut to ``NAME_MAX`` and without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text[:NAME_MAX])


def _explain(error: ValidationError) -> str:
    """Describe the first few problems. The input is not repeated: it may be a patient's name."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)[:3]
    explained = [
        f"{'.'.join(printable(str(part)) for part in problem['loc']) or 'request'}: "
        f"{problem['msg'].removeprefix('Value error, ')}"
        for problem in problems
    ]
    return "; ".join(explained)[:500] + "."
