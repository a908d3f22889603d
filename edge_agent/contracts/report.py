"""``report``: one message per finished slide."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import OpenContract, Ratio, UtcTime
from edge_agent.contracts.manifest import Slug
from edge_agent.contracts.model_identity import ModelIdentity
from edge_agent.contracts.result import Outcome
from edge_agent.contracts.scale import ScaleSource
from edge_agent.contracts.specimen import FieldsCount, Specimen


class Share(OpenContract):
    """A share of the classified fields, with its 95 % interval by Wilson. The ratios are null if there are none."""

    fields_count: int = Field(ge=0, description="Number of classified fields that belong to it.")
    ratio: Ratio | None = Field(description="The same as a share of all classified fields.")
    low_ratio: Ratio | None = Field(
        description="Lower end of the interval: what chance in the choice of fields may do to the share. It does not "
        "cover the model's errors."
    )
    high_ratio: Ratio | None = Field(description="Upper end of the interval.")


class LabelShare(Share):
    """One label of the model, and the fields that got it."""

    label: Slug
    name: str = Field(description="What people call the label.")
    malignant: bool | None = Field(description="Null if the label was counted by a release that did not keep it.")


class CellsShare(OpenContract):
    """A share of the judged cells, with its 95 % interval by Wilson. The ratios are null if no cell was judged."""

    cells_count: int = Field(ge=0, description="Number of judged cells that belong to it.")
    ratio: Ratio | None = Field(description="The same as a share of all judged cells.")
    low_ratio: Ratio | None = Field(
        description="Lower end of the interval: what chance in the choice of cells may do to the share. It covers "
        "neither the model's errors nor that cells of one field resemble each other."
    )
    high_ratio: Ratio | None = Field(description="Upper end of the interval.")


class CellTypeShare(CellsShare):
    """One type of cell that the model knows, and the cells that got it."""

    type: Slug
    name: str = Field(description="What people call the type.")
    malignant: bool | None = Field(description="Null if the message did not say what the type is.")


class SlideDifferential(OpenContract):
    """The cells of a slide that were judged one by one: counts of a program, not a differential of a laboratory."""

    demonstration: bool = Field(
        description="True if a model was used that was not trained on real smears: the types have no meaning."
    )
    provisional: bool = Field(
        description="True if no record shows that a model that was used is right often enough: it gives no types."
    )
    fields_count: int = Field(ge=0, description="Number of different fields whose cells were looked at.")
    cells_count: int = Field(
        ge=0, description="Nucleated cells found in them: judged, refused, and not looked at as there were so many."
    )
    judged_count: int = Field(ge=0, description="Number of cells that got a type.")
    refused_count: int = Field(
        ge=0, description="Number of cells that were refused a type: unfamiliar, not sure enough, or cut by the edge."
    )
    types: tuple[CellTypeShare, ...] = Field(
        default=(), description="The distribution over the types of the models used, in the order of the models."
    )
    blasts: CellsShare = Field(description="The share of judged cells with a malignant type.")
    models: tuple[ModelIdentity, ...] = Field(
        default=(),
        description="The models that judged cells, in the order of their use; of more than 32 the last ones.",
    )
    models_count: int = Field(ge=1, description="Number of models that judged cells.")


class SlideScale(OpenContract):
    """How large a pixel of the frames is, by the last judged field of which it is known."""

    source: ScaleSource
    um_per_pixel: float = Field(gt=0)


class Report(OpenContract):
    """The readings of one slide as counts of fields, not a finding about a patient."""

    schema_: Literal["leukoscope/report/v1"] = Field(default="leukoscope/report/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    demonstration: bool
    provisional: bool = Field(
        default=False,
        description="True if no record shows that the model is right often enough: it gives no label.",
    )
    id: UUID = Field(description="UUIDv7; the same on every delivery of this message.")
    site: Slug | None = Field(default=None, description="Null only in a message of release 0.2.0 or older.")
    device: Slug
    session: UUID
    replayed: bool = Field(default=False, description="True for backlog sent after live results.")
    specimen: Specimen
    began_at: UtcTime
    finished_at: UtcTime
    wished_fields_count: FieldsCount | None = Field(
        default=None, description="Number of fields that somebody asked for; null if nobody did."
    )
    readings_count: int = Field(ge=0, description="All readings: those in outcomes_count, and repeated_count.")
    judged_count: int | None = Field(
        default=None, ge=0, description="Number of different fields that were judged: classified or abstained."
    )
    repeated_count: int = Field(
        default=0,
        ge=0,
        description="Number of readings of a field that had been counted already. Only readings_count includes them.",
    )
    outcomes_count: dict[Outcome, int] = Field(description="Number of readings with each outcome, without repeats.")
    reasons_count: dict[str, int] = Field(
        description="Number of fields for each reason of a refusal and each code of a failure."
    )
    labels_count: dict[Slug, int] = Field(description="Number of classified fields for each label.")
    malignant_count: int = Field(ge=0, description="Number of classified fields with a malignant label.")
    labels: tuple[LabelShare, ...] = Field(
        default=(), description="The distribution over the labels of the models used, in the order of the models."
    )
    malignant: Share | None = Field(default=None, description="The share of classified fields with a malignant label.")
    differential: SlideDifferential | None = Field(
        default=None, description="The types of the cells; null if no model judged single cells."
    )
    model: ModelIdentity
    models: tuple[ModelIdentity, ...] = Field(
        default=(), description="The models used, in the order of their use; of more than 32 the last ones."
    )
    models_count: int = Field(
        ge=1, description="Number of models used; more than 1 if the model was changed while the slide was read."
    )
    software: str | None = Field(default=None, description="Name and version of the program that wrote the report.")
    scale: SlideScale | None = Field(default=None, description="Null if it is not known of any judged field.")
    statement: str | None = Field(
        default=None, description="The same for a reader, in English sentences. Never a finding about a person."
    )
