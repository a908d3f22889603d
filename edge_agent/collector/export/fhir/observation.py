"""A reading as an ``Observation``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from edge_agent.collector.export.csv_file import time_text
from edge_agent.collector.export.fhir.codes import (
    LABORATORY,
    PLAIN_NUMBERS,
    absent,
    coding,
    concept,
    display_of,
    markings,
    measure,
    quantity,
)
from edge_agent.collector.export.fhir.identity import identifier, reference
from edge_agent.collector.export.fhir.narrative import NOTICE, narrative, plain_text
from edge_agent.contracts import Outcome, explain_reason

_MEASURES = (
    "unfamiliarity_score",
    "focus_score",
    "brightness_pct",
    "nuclei_count",
    "nuclei_coverage_pct",
    "um_per_pixel",
    "latency_total_ms",
)
"""Figures that describe the picture and the reading. They are no answers, so they are always given."""

_ANSWERS = ("malignant_ratio", "confidence_ratio")
"""The model's answers about the field."""

_ABSENT = {Outcome.ABSTAINED: "unknown", Outcome.REJECTED: "not-performed", Outcome.FAILED: "error"}


def observation(row: Row[Any], *, slide: UUID, device: UUID) -> dict[str, Any]:
    """The reading ``row`` of the table ``results``.

    A reading without a label has a ``dataAbsentReason`` in its place. So has every reading of a demonstration or of a
    provisional model, which also leaves out its probabilities: they mean nothing, or nobody knows what they mean.
    """
    withheld = row.demonstration or row.provisional
    said = _answer(row, withheld=withheld)
    # R4: a measurement that was not completed is cancelled; one that is complete but unverified is preliminary.
    failed = row.outcome == Outcome.FAILED
    captured_at, received_at = time_text(row.captured_at), time_text(row.received_at)
    return {
        "resourceType": "Observation",
        "meta": markings(demonstration=row.demonstration, provisional=row.provisional),
        "text": narrative(f"Field {row.field}, captured at {captured_at}.", _words(said)),
        "identifier": [identifier(row.id)],
        "status": "cancelled" if failed else "preliminary",
        "category": [{"coding": [LABORATORY]}, concept("image-analysis")],
        "code": concept("field-reading"),
        "effectiveDateTime": captured_at,
        "issued": received_at,
        **said,
        "note": [{"text": note} for note in _notes(row)],
        "method": {"text": plain_text(f"Image classifier {row.model_name} {row.model_version}, {row.software}")},
        "specimen": reference(slide),
        "device": reference(device),
        "component": list(_components(row, withheld=withheld)),
    }


def _answer(row: Row[Any], *, withheld: bool) -> dict[str, Any]:
    """``valueCodeableConcept``, or why there is none."""
    if row.demonstration:
        return _no_value(
            [absent("not-applicable"), coding("marking", "demonstration", "Demonstration")], _DEMONSTRATION
        )
    if row.outcome == Outcome.CLASSIFIED and row.label is not None and not withheld:
        text = f"The model names the class '{row.label}'. This is no diagnosis."
        return {"valueCodeableConcept": {"coding": [coding("label", row.label)], "text": text}}
    codings = [absent(_ABSENT.get(row.outcome, "unknown"))]
    if row.reason is not None:
        codings.append(coding("reason", plain_text(row.reason), display_of(plain_text(row.reason))))
        return _no_value(codings, explain_reason(row.reason))
    if row.error_code is not None:
        codings.append(coding("error", plain_text(row.error_code)))
        return _no_value(codings, "The reading failed.")
    return _no_value(codings, _PROVISIONAL if row.provisional else "There is no label.")


_DEMONSTRATION = "The model was not trained on real smears: its answer has no meaning and is withheld."
_PROVISIONAL = "No record shows that the model is right often enough: its answer is withheld."


def _no_value(codings: list[dict[str, str]], text: str) -> dict[str, Any]:
    return {"dataAbsentReason": {"coding": codings, "text": plain_text(text)}}


def _words(said: dict[str, Any]) -> str:
    [text] = [each["text"] for each in said.values()]
    return str(text)


def _notes(row: Row[Any]) -> Iterator[str]:
    yield NOTICE
    if row.provisional:
        yield _PROVISIONAL
    if row.clock_synchronised is False:
        yield "The device's clock was not synchronised: the time may be wrong."
    if row.repeats_field is not None:
        yield f"Field {row.repeats_field} of this slide shows the same; the slide's summary counts it once."


def _components(row: Row[Any], *, withheld: bool) -> Iterator[dict[str, Any]]:
    if not withheld:
        for label, probability in sorted((row.probabilities or {}).items()):
            code = {"coding": [coding("label-probability", label)], "text": f"Probability of the class '{label}'"}
            yield {"code": code, "valueQuantity": quantity("probabilities", probability)}
    for name in (*(() if withheld else _ANSWERS), *_MEASURES):
        value = getattr(row, name)
        if value is not None:
            yield {"code": measure(name), "valueQuantity": quantity(name, value)}
    for name in PLAIN_NUMBERS:
        value = getattr(row, name)
        if value is not None:
            yield {"code": measure(name), "valueInteger": value}
