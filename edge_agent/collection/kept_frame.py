"""The record of a kept frame, stored beside its picture."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.collection.settings import Keep
from edge_agent.contracts import Result
from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.contracts.manifest import Sha256
from edge_agent.contracts.specimen import SlideNumber, SpecimenId


class KeptPicture(Contract):
    """The JPEG beside the record."""

    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    size_bytes: int = Field(ge=1)
    sha256: Sha256


class KeptFrame(Contract):
    """``ID.json`` in the collection's folder; the picture is ``ID.jpg``, and the id is the reading's."""

    schema_: Literal["leukoscope/kept-frame/v1"] = Field(default="leukoscope/kept-frame/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    kept_at: UtcTime
    keep: Keep = Field(description="The setting by which it was kept.")
    synthetic: bool = Field(description="Whether it was drawn by the synthetic camera.")
    picture: KeptPicture
    result: Result = Field(description="The reading, without its source, which may be a file's name.")


class _Lenient(BaseModel):
    """Reads what it knows, so that records of later releases stay usable."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _SummaryPicture(_Lenient):
    size_bytes: int = Field(ge=1)


class _SummarySpecimen(_Lenient):
    id: SpecimenId
    slide: SlideNumber
    field: int


class _SummaryResult(_Lenient):
    id: UUID
    captured_at: UtcTime
    session: UUID
    label: str | None = None
    specimen: _SummarySpecimen | None = None


class FrameSummary(_Lenient):
    """What is held in memory of each kept frame."""

    kept_at: UtcTime
    picture: _SummaryPicture
    result: _SummaryResult

    @property
    def id(self) -> UUID:
        """The reading's id."""
        return self.result.id

    @property
    def model_label(self) -> str | None:
        """The model's label; None if it gave none."""
        return self.result.label
