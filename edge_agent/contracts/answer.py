"""``answer/{...}``: what a device answers to a command."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field, JsonValue

from edge_agent.contracts.base import OpenContract, UtcTime
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.manifest import Slug


class AnswerState(StrEnum):
    """What became of a request."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class Answer(OpenContract):
    """Sent to the request's response topic if it is below the device's ``answer/``, else to ``answer/{command}``."""

    schema_: Literal["leukoscope/answer/v1"] = Field(default="leukoscope/answer/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    id: UUID | None = Field(description="The id of the request; null if it could not be read.")
    site: Slug | None = Field(default=None, description="Null only in a message of release 0.2.0 or older.")
    device: Slug
    session: UUID = Field(description="The run of the agent that carried the command out.")
    command: str
    at: UtcTime
    state: AnswerState
    error: ErrorReport | None
    data: dict[str, JsonValue]
