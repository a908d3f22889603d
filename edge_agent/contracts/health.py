"""``health``: the state of each part, retained."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import OpenContract, UtcTime
from edge_agent.contracts.manifest import Slug
from edge_agent.errors import EdgeAgentError


class CheckState(StrEnum):
    """State of one part, or of all together. ``unknown``: this computer cannot measure it, which is no fault."""

    OK = "ok"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"


class Check(OpenContract):
    """One part of the device, with the same code and remedy as in the log and in ``doctor``."""

    name: Slug
    state: CheckState
    code: str | None = Field(default=None, description="An error's code; null unless the part is degraded.")
    message: str | None = Field(default=None, description="What is wrong, or why the state is unknown.")
    remedy: str | None = Field(default=None, description="What to do about it.")

    @classmethod
    def from_error(cls, name: str, error: EdgeAgentError | None) -> Self:
        """The check of the part ``name``: ok without an error, else degraded with the error's code and remedy."""
        if error is None:
            return cls(name=name, state=CheckState.OK)
        return cls(name=name, state=CheckState.DEGRADED, code=error.code, message=error.message, remedy=error.remedy)

    @classmethod
    def unknown(cls, name: str, message: str) -> Self:
        """The check of a part ``name`` that cannot be measured; ``message`` says why."""
        return cls(name=name, state=CheckState.UNKNOWN, message=message)


class Health(OpenContract):
    """Published on change and every few minutes."""

    schema_: Literal["leukoscope/health/v1"] = Field(default="leukoscope/health/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    site: Slug | None = Field(default=None, description="Null only in a message of release 0.2.0 or older.")
    device: Slug
    session: UUID
    at: UtcTime
    state: CheckState = Field(description="Degraded if any check is, else ok; unknown checks do not count.")
    checks: tuple[Check, ...]
