"""``health``: the state of each part, retained."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.contracts.manifest import Slug
from edge_agent.errors import EdgeAgentError


class CheckState(StrEnum):
    """Of one part, and of the worst of all."""

    OK = "ok"
    DEGRADED = "degraded"


class Check(Contract):
    """One part of the device, with the code and remedy that logs and ``doctor`` have too."""

    name: Slug
    state: CheckState
    code: str | None = Field(default=None, description="Null where all is well.")
    message: str | None = None
    remedy: str | None = None

    @classmethod
    def from_error(cls, name: str, error: EdgeAgentError | None) -> Self:
        """The check of the part ``name``: ok without an error, else degraded and what the error says."""
        if error is None:
            return cls(name=name, state=CheckState.OK)
        return cls(name=name, state=CheckState.DEGRADED, code=error.code, message=error.message, remedy=error.remedy)


class Health(Contract):
    """Published on change and every few minutes."""

    schema_: Literal["leukoscope/health/v1"] = Field(default="leukoscope/health/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    device: Slug
    session: UUID
    at: UtcTime
    state: CheckState = Field(description="That of the worst check.")
    checks: tuple[Check, ...]
