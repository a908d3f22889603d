"""A slide's counts as an ``Observation``, and its ``DiagnosticReport``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from edge_agent.collector.export.csv_file import time_text
from edge_agent.collector.export.fhir.codes import (
    HEMATOLOGY,
    LABORATORY,
    coding,
    concept,
    markings,
    measure,
    quantity,
)
from edge_agent.collector.export.fhir.identity import identifier, reference
from edge_agent.collector.export.fhir.narrative import NOTICE, narrative
from edge_agent.collector.export.fhir.specimen import Slide

_COUNTS = ("readings_count", "judged_count", "cells_judged_count", "cells_refused_count")
_ANSWERS = ("malignant_count", "malignant_ratio", "low_ratio", "high_ratio")
_ANSWERS_ON_CELLS = ("blasts_count", "blast_ratio", "blast_low_ratio", "blast_high_ratio")


def slide_summary(row: Row[Any], slide: Slide) -> dict[str, Any]:
    """The report ``row`` of the table ``reports``. The model's answers are left out where they are withheld."""
    withheld = row.demonstration or row.provisional
    return {
        "resourceType": "Observation",
        "meta": markings(demonstration=row.demonstration, provisional=row.provisional),
        "text": narrative(f"Slide {slide.name}: {row.readings_count} readings by {row.site}/{row.device}."),
        "identifier": [identifier(row.id)],
        "status": "preliminary",
        "category": [{"coding": [LABORATORY]}, concept("image-analysis")],
        "code": concept("slide-summary"),
        "effectivePeriod": _period(row.began_at, row.finished_at),
        "issued": time_text(row.received_at),
        "note": [{"text": NOTICE}],
        "specimen": reference(slide.identity),
        "component": list(_components(row, withheld=withheld)),
    }


def _components(row: Row[Any], *, withheld: bool) -> Iterator[dict[str, Any]]:
    # If all cells were refused, a count of 0 blasts would look like an answer.
    typed = not withheld and bool(row.cells_judged_count)
    for name in (*_COUNTS, *(() if withheld else _ANSWERS), *(_ANSWERS_ON_CELLS if typed else ())):
        value = getattr(row, name)
        if value is not None:
            yield {"code": measure(name), "valueQuantity": quantity(name, value)}
    groups = [
        ("outcome-count", row.outcomes_count),
        *([] if withheld else [("label-count", row.labels_count)]),
        *([("type-count", row.types_count)] if typed else []),
    ]
    for system, counts in groups:
        for name, value in sorted(counts.items()):
            yield {"code": {"coding": [coding(system, name)]}, "valueQuantity": quantity("count", value)}


@dataclass(slots=True)
class ReportedReadings:
    """The facts about a Bundle's readings that its report needs."""

    identities: dict[UUID, None]
    """Identities of the readings, in order; each once."""
    first_at: datetime
    last_at: datetime
    newest_received_at: datetime
    demonstration: bool = False
    provisional: bool = False


def slide_report(identity: UUID, slide: Slide, readings: ReportedReadings, summaries: Sequence[UUID]) -> dict[str, Any]:
    """The report of a slide, or of a part of its readings. It has no conclusion: that is a person's task.

    Its status is ``partial``, whose definition is 'may be incomplete or unverified'; ``preliminary`` would say that
    results were verified.
    """
    return {
        "resourceType": "DiagnosticReport",
        "meta": markings(demonstration=readings.demonstration, provisional=readings.provisional),
        "text": narrative(f"Slide {slide.name} of {slide.site}: {len(readings.identities)} automated readings."),
        "identifier": [identifier(identity)],
        "status": "partial",
        "category": [{"coding": [HEMATOLOGY]}, concept("image-analysis")],
        "code": concept("slide-report"),
        "effectivePeriod": _period(readings.first_at, readings.last_at),
        "issued": time_text(readings.newest_received_at),
        "specimen": [reference(slide.identity)],
        "result": [reference(each) for each in (*summaries, *readings.identities)],
    }


def _period(start: datetime, end: datetime) -> dict[str, str]:
    # If the clock was set back meanwhile, the interval must not end before it begins.
    return {"start": time_text(min(start, end)), "end": time_text(max(start, end))}
