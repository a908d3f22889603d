"""The columns of every exported table: the one source of headers, types, units and the data dictionary.

Their order is guaranteed: a later release adds columns at the end, and never moves, renames or removes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import get_args

from pydantic import BaseModel
from sqlalchemy import Table

from edge_agent.collector import tables
from edge_agent.collector.export.units import unit_of
from edge_agent.contracts import Event, Report, Result


class Kind(StrEnum):
    """Type of a column's values."""

    TEXT = "text"
    UUID = "UUID"
    TIME = "time"
    BOOLEAN = "true or false"
    INTEGER = "integer"
    NUMBER = "number"
    NUMBERS = "numbers by name"
    INTEGERS = "integers by name"
    DETAILS = "JSON object"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file."""

    name: str
    kind: Kind
    description: str
    null: str | None
    """The meaning of a missing value; None if there always is a value."""
    repeats: bool = False
    """Whether a few different values repeat often."""

    @property
    def unit(self) -> str:
        """The unit as people write it; empty if there is none."""
        unit = unit_of(self.name)
        return unit.name if unit else ""


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """A table of the database as it is exported."""

    table: Table
    schema: str
    """Name and version of the columns."""
    time: str
    """The column to which a time range applies."""
    columns: tuple[Column, ...]


def _described(model: type[BaseModel], path: str) -> str:
    """The contract's description of a field; ``path`` is such as ``quality.focus_score``."""
    name, _, rest = path.partition(".")
    field = model.model_fields[name]
    if not rest:
        return field.description or ""
    inner = next(each for each in _parts(field.annotation) if isinstance(each, type) and issubclass(each, BaseModel))
    return _described(inner, rest)


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


class _Columns:
    """Makes columns of one message's fields. A column's description is the text given here, then the contract's."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __call__(
        self,
        name: str,
        kind: Kind,
        says: str = "",
        *,
        field: str | None = None,
        null: str | None = None,
        repeats: bool = False,
    ) -> Column:
        contract = _described(self._model, field or name)
        return Column(name, kind, " ".join(filter(None, (says, contract))), null, repeats)


USE = Column("use", Kind.TEXT, "Always 'research-only': no row may be used for diagnosis.", None, repeats=True)

_RECEIVED = Column("received_at", Kind.TIME, "When the collector received the message, by its own clock.", None)

_WHERE = (
    Column("site", Kind.TEXT, "The site, by the topic of the message.", None, repeats=True),
    Column("device", Kind.TEXT, "The device, by the topic of the message. Unique within its site.", None, repeats=True),
)

_NO_SLIDE = "No slide was set."
_NOT_JUDGED = "The frame was not judged, or failed."
_UNFAMILIAR = "The frame was not judged, or the field is unfamiliar."
_NO_FIELD = "No field was found in the frame."
_NOT_CLASSIFIED = "The reading was not classified."
_OWN_CLASSES = "The bundle's own classes were used."
_NO_CELLS = "No cells bundle judged."
_NO_CELL = "No cells bundle judged, or no cell got a type."


def _results() -> Iterator[Column]:
    of = _Columns(Result)
    yield USE
    yield of("demonstration", Kind.BOOLEAN)
    yield of("provisional", Kind.BOOLEAN)
    yield of("id", Kind.UUID, "Identifies the reading.")
    yield from _WHERE
    yield of("camera", Kind.TEXT, "The camera of this device.", repeats=True)
    yield of("session", Kind.UUID, repeats=True)
    yield of("seq", Kind.INTEGER)
    yield of("captured_at", Kind.TIME, "When the frame was captured, by the device's clock.")
    yield _RECEIVED
    yield of("clock_synchronised", Kind.BOOLEAN, field="clock.synchronised", null="The system does not report it.")
    yield of("replayed", Kind.BOOLEAN)
    yield of("specimen", Kind.TEXT, "Opaque id of the specimen.", field="specimen.id", null=_NO_SLIDE, repeats=True)
    yield of("slide", Kind.INTEGER, field="specimen.slide", null=_NO_SLIDE, repeats=True)
    yield of("field", Kind.INTEGER, field="specimen.field", null=_NO_SLIDE)
    yield of(
        "repeats_field", Kind.INTEGER, field="specimen.repeats_field", null="No slide was set, or this reading counts."
    )
    yield of(
        "outcome",
        Kind.TEXT,
        "'classified', 'abstained' (judged, without an answer), 'rejected' or 'failed'.",
        repeats=True,
    )
    yield of("reason", Kind.TEXT, "Why there is no label.", null="The reading was classified, or failed.", repeats=True)
    yield of(
        "error_code",
        Kind.TEXT,
        "Code of the error.",
        field="error.code",
        null="The reading did not fail.",
        repeats=True,
    )
    yield of("label", Kind.TEXT, "Code of the class that the model names.", null=_NOT_CLASSIFIED, repeats=True)
    yield of("malignant", Kind.BOOLEAN, "Whether that class counts as malignant.", null=_NOT_CLASSIFIED)
    yield of("malignant_ratio", Kind.NUMBER, null=_UNFAMILIAR)
    yield of("confidence_ratio", Kind.NUMBER, field="decision.confidence_ratio", null=_UNFAMILIAR)
    yield of("unfamiliarity_score", Kind.NUMBER, field="decision.unfamiliarity_score", null=_NOT_JUDGED)
    yield of("probabilities", Kind.NUMBERS, "Probability of each class, by its code.", null=_UNFAMILIAR)
    yield of(
        "focus_score", Kind.NUMBER, field="quality.focus_score", null="There are no nuclei, or no field in the frame."
    )
    yield of("brightness_pct", Kind.NUMBER, field="quality.brightness_pct", null=_NO_FIELD)
    yield of("nuclei_count", Kind.INTEGER, "Nuclei found in the field.", field="nuclei.count", null=_NO_FIELD)
    yield of("nuclei_coverage_pct", Kind.NUMBER, field="nuclei.coverage_pct", null=_NO_FIELD)
    yield of("um_per_pixel", Kind.NUMBER, field="scale.um_per_pixel", null="The scale is not known.")
    yield Column("latency_total_ms", Kind.NUMBER, "'total' of latency_ms.", "The device did not measure it.")
    yield of("latency_ms", Kind.NUMBERS)
    yield of("model_name", Kind.TEXT, "Name of the bundle.", field="model.name", repeats=True)
    yield of("model_version", Kind.TEXT, "Version of the bundle.", field="model.version", repeats=True)
    yield of("model_sha256", Kind.TEXT, field="model.sha256", repeats=True)
    yield of("head_name", Kind.TEXT, "Name of the head.", field="model.head.name", null=_OWN_CLASSES, repeats=True)
    yield of(
        "head_version", Kind.TEXT, "Version of the head.", field="model.head.version", null=_OWN_CLASSES, repeats=True
    )
    yield of("software", Kind.TEXT, "Name and version of the program on the device.", repeats=True)
    yield of("source", Kind.TEXT, null="The camera is neither file nor stream.", repeats=True)
    yield of(
        "image_sha256",
        Kind.TEXT,
        "SHA-256 of the frame's file or JPEG if there was one, else of its pixels.",
        field="image.sha256",
        null="The frame could not be read.",
    )
    yield of("cells_judged_count", Kind.INTEGER, field="differential.judged_count", null=_NO_CELLS)
    yield of("cells_refused_count", Kind.INTEGER, field="differential.refused_count", null=_NO_CELLS)
    yield of("blasts_count", Kind.INTEGER, field="differential.blasts_count", null=_NO_CELLS)
    yield of("blast_ratio", Kind.NUMBER, field="differential.blast_ratio", null=_NO_CELL)
    yield of("types_count", Kind.INTEGERS, field="differential.types_count", null=_NO_CELLS)


def _events() -> Iterator[Column]:
    of = _Columns(Event)
    yield USE
    yield of("id", Kind.UUID, "Identifies the event.")
    yield from _WHERE
    yield of("session", Kind.UUID, "UUIDv7 of this run of the agent.", repeats=True)
    yield of("at", Kind.TIME, "When it happened, by the device's clock.")
    yield _RECEIVED
    yield of("replayed", Kind.BOOLEAN)
    yield of("kind", Kind.TEXT, "What happened.", repeats=True)
    yield of("code", Kind.TEXT, null="No error caused it.", repeats=True)
    yield of("message", Kind.TEXT, "The same in words.")
    yield of("details", Kind.DETAILS, "Figures and names that belong to it.")


def _reports() -> Iterator[Column]:
    of = _Columns(Report)
    nothing = "No field was classified."
    yield USE
    yield of("demonstration", Kind.BOOLEAN, "True if a model was used that was not trained on real smears.")
    yield of("provisional", Kind.BOOLEAN)
    yield of("id", Kind.UUID, "Identifies the report.")
    yield from _WHERE
    yield of("session", Kind.UUID, "UUIDv7 of this run of the agent.", repeats=True)
    yield of("began_at", Kind.TIME, "When the slide was set, by the device's clock.")
    yield of("finished_at", Kind.TIME, "When the slide was finished, by the device's clock.")
    yield _RECEIVED
    yield of("replayed", Kind.BOOLEAN)
    yield of("specimen", Kind.TEXT, "Opaque id of the specimen.", field="specimen.id", repeats=True)
    yield of("slide", Kind.INTEGER, field="specimen.slide", repeats=True)
    yield of("readings_count", Kind.INTEGER)
    yield of("judged_count", Kind.INTEGER, null="The device's release did not count it.")
    yield of("malignant_count", Kind.INTEGER)
    yield of("malignant_ratio", Kind.NUMBER, "Malignant labels.", field="malignant.ratio", null=nothing)
    yield of("low_ratio", Kind.NUMBER, "Of malignant_ratio.", field="malignant.low_ratio", null=nothing)
    yield of("high_ratio", Kind.NUMBER, "Of malignant_ratio.", field="malignant.high_ratio", null=nothing)
    yield of("outcomes_count", Kind.INTEGERS)
    yield of("labels_count", Kind.INTEGERS)
    yield of("cells_judged_count", Kind.INTEGER, field="differential.judged_count", null=_NO_CELLS)
    yield of("cells_refused_count", Kind.INTEGER, field="differential.refused_count", null=_NO_CELLS)
    blasts = "differential.blasts"
    yield of("blasts_count", Kind.INTEGER, "Malignant types.", field=f"{blasts}.cells_count", null=_NO_CELLS)
    yield of("blast_ratio", Kind.NUMBER, "Malignant types.", field=f"{blasts}.ratio", null=_NO_CELL)
    yield of("blast_low_ratio", Kind.NUMBER, "Of blast_ratio.", field=f"{blasts}.low_ratio", null=_NO_CELL)
    yield of("blast_high_ratio", Kind.NUMBER, "Of blast_ratio.", field=f"{blasts}.high_ratio", null=_NO_CELL)
    yield of("types_count", Kind.INTEGERS, "Judged cells of each type.", field="differential.types", null=_NO_CELLS)


EXPORTED = {
    "results": ExportedTable(tables.results, "leukoscope/export/results/v1", "captured_at", tuple(_results())),
    "events": ExportedTable(tables.events, "leukoscope/export/events/v1", "at", tuple(_events())),
    "reports": ExportedTable(tables.reports, "leukoscope/export/reports/v1", "finished_at", tuple(_reports())),
}
"""The exported tables by their name in the database."""
