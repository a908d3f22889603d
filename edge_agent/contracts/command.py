"""``command/{name}``: the requests to a device."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from edge_agent.contracts.base import CanonicalUuid, Contract
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
    """A request. If it is sent again with the same id, it gets the same answer and nothing is done twice.

    What the JSON Schema allows is accepted, and nothing else.
    """

    schema_: Literal["leukoscope/command/v1"] = Field(default="leukoscope/command/v1", alias="schema")
    id: CanonicalUuid = Field(description="Chosen by the sender, new for each request.")


class SetSpecimen(Command):
    """Readings belong to this slide from now on."""

    specimen: SpecimenId = Field(
        description="Opaque: a UUID, or a code such as S-7K3F-92QX. A name, a date or a record number is refused."
    )
    slide: SlideNumber = Field(default=1, description="Number of the slide of this specimen.")


REQUESTS: dict[CommandName, type[Command]] = {
    name: SetSpecimen if name is CommandName.SET_SPECIMEN else Command for name in CommandName
}
