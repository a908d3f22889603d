"""``specimen``: the slide that is being read, retained."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import OpenContract, UtcTime
from edge_agent.contracts.manifest import Slug
from edge_agent.contracts.percentiles import Count
from edge_agent.contracts.result import Outcome
from edge_agent.contracts.specimen import FieldsCount, Specimen


class OpenSpecimen(OpenContract):
    """The slide that is being read, and its readings so far. ``report`` follows when it is finished."""

    schema_: Literal["leukoscope/specimen/v1"] = Field(default="leukoscope/specimen/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    demonstration: bool = Field(default=False, description="True if one of its readings has no meaning.")
    provisional: bool = Field(default=False, description="True if a model was used that nothing proves.")
    site: Slug
    device: Slug
    session: UUID
    at: UtcTime
    specimen: Specimen | None = Field(description="Null if no slide is open.")
    began_at: UtcTime | None = Field(default=None, description="Null if no slide is open.")
    wished_fields_count: FieldsCount | None = Field(
        default=None, description="Number of fields that somebody asked for; null if nobody did."
    )
    readings_count: Count = Field(default=0, description="All readings of the slide, repeats too.")
    judged_count: Count = Field(default=0, description="Different fields that were classified or abstained from.")
    outcomes_count: dict[Outcome, Count] = Field(
        default_factory=dict, description="Readings by outcome, without repeats."
    )
    reasons_count: dict[str, Count] = Field(
        default_factory=dict, description="Fields by the reason of a refusal or the code of a failure."
    )
    labels_count: dict[Slug, Count] = Field(default_factory=dict, description="Classified fields by label.")
    malignant_count: Count = Field(default=0, description="Classified fields with a malignant label.")
