"""``model/desired`` and ``model/reported``: which model a device should run, and which it runs. Both retained."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.manifest import Sha256, Slug
from edge_agent.contracts.result import ModelIdentity


class ModelDesired(Contract):
    """Set by an operator. The bundle itself comes over HTTPS or from a file, never over MQTT."""

    schema_: Literal["leukoscope/model-desired/v1"] = Field(default="leukoscope/model-desired/v1", alias="schema")
    name: Slug
    version: str
    sha256: Sha256 = Field(description="SHA-256 of the bundle's model.tflite.")
    source: str | None = Field(default=None, description="https:// address or path; null for a shipped bundle.")


class ModelReported(Contract):
    """Published by the device after each connect."""

    schema_: Literal["leukoscope/model-reported/v1"] = Field(default="leukoscope/model-reported/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    device: Slug
    session: UUID
    at: UtcTime
    model: ModelIdentity
    error: ErrorReport | None = Field(default=None, description="Why the desired model is not the one in use.")
