"""``command/{name}``: what may be asked of a device, and ``answer/{...}``: what it says to it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field, JsonValue

from edge_agent.contracts.base import CanonicalUuid, Contract, UtcTime
from edge_agent.contracts.manifest import Slug
from edge_agent.contracts.result import ErrorReport
from edge_agent.contracts.specimen import SlideNumber, SpecimenId

MAX_REQUEST_BYTES = 4096


class CommandName(StrEnum):
    """The last segment of a command's topic."""

    CAPTURE = "capture"
    PAUSE = "pause"
    RESUME = "resume"
    SET_SPECIMEN = "set-specimen"
    FINISH_SPECIMEN = "finish-specimen"
    SELF_TEST = "self-test"
    GET_CONFIG = "get-config"
    CALIBRATE = "calibrate"


class Command(Contract):
    """A request. Sent again with the same id it gets the same answer, and nothing is done twice.

    What the JSON Schema allows is accepted, and nothing else.
    """

    schema_: Literal["leukoscope/command/v1"] = Field(default="leukoscope/command/v1", alias="schema")
    id: CanonicalUuid = Field(description="The sender's own, new for each request.")


class SetSpecimen(Command):
    """From now on readings belong to this slide."""

    specimen: SpecimenId = Field(
        description="Opaque: a UUID, or a code such as S-7K3F-92QX. A name, a date or a record number is refused."
    )
    slide: SlideNumber = Field(default=1, description="Number of the slide of this specimen.")


REQUESTS: dict[CommandName, type[Command]] = {
    name: SetSpecimen if name is CommandName.SET_SPECIMEN else Command for name in CommandName
}


class AnswerState(StrEnum):
    """What became of a request."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class Answer(Contract):
    """To the request's response topic if that lies below the device's ``answer/``, else to ``answer/{command}``."""

    schema_: Literal["leukoscope/answer/v1"] = Field(default="leukoscope/answer/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    id: UUID | None = Field(description="The request's; null if it could not be read.")
    device: Slug
    session: UUID = Field(description="Of the run of the agent that carried it out.")
    command: str
    at: UtcTime
    state: AnswerState
    error: ErrorReport | None
    data: dict[str, JsonValue]
