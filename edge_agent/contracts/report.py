"""``report``: one message per finished slide."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.contracts.manifest import Slug
from edge_agent.contracts.result import ModelIdentity, Outcome
from edge_agent.contracts.specimen import Specimen


class Report(Contract):
    """The readings of one slide as counts of fields, not a finding about a patient."""

    schema_: Literal["leukoscope/report/v1"] = Field(default="leukoscope/report/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    demonstration: bool
    provisional: bool = Field(
        default=False,
        description="True if no record shows that the model is right often enough: it gives no label.",
    )
    id: UUID = Field(description="UUIDv7; the same on every delivery of this message.")
    device: Slug
    session: UUID
    replayed: bool = Field(default=False, description="True for backlog sent after live results.")
    specimen: Specimen
    began_at: UtcTime
    finished_at: UtcTime
    readings_count: int = Field(ge=0)
    outcomes_count: dict[Outcome, int]
    reasons_count: dict[str, int] = Field(
        description="Number of fields for each reason of a refusal and each code of a failure."
    )
    labels_count: dict[Slug, int] = Field(description="Number of classified fields for each label.")
    malignant_count: int = Field(ge=0, description="Number of classified fields with a malignant label.")
    model: ModelIdentity
    models_count: int = Field(
        ge=1, description="Number of models used; more than 1 if the model was changed while the slide was read."
    )
