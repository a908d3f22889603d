"""``status``: whether a device is connected and what it does; retained, and also its last will."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import OpenContract, UtcTime
from edge_agent.contracts.manifest import Slug


class StatusState(StrEnum):
    """The states of the Homie convention, and ``degraded``."""

    INIT = "init"
    READY = "ready"
    DEGRADED = "degraded"
    SLEEPING = "sleeping"
    DISCONNECTED = "disconnected"
    LOST = "lost"


class Status(OpenContract):
    """Whether the device is connected. ``lost`` is the last will: ignore one whose session is not the newest."""

    schema_: Literal["leukoscope/status/v1"] = Field(default="leukoscope/status/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    site: Slug | None = Field(default=None, description="Null only in a message of release 0.2.0 or older.")
    device: Slug
    session: UUID
    state: StatusState
    code: str | None = Field(description="Code of the error that makes the device degraded.")
    at: UtcTime | None = Field(
        description="In the last will, when the connection began: nobody knows when it was lost. Null in the last will "
        "of release 0.2.0 or older."
    )
