"""The codes that the resources use, and the project's own code systems as FHIR resources.

Codes of HL7 and UCUM are used where their definition fits exactly. An automated reading of a smear, and its
measurements, have codes of the project's own: none of SNOMED CT or LOINC could be checked, so none is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_agent import __version__
from edge_agent.collector.export.columns import EXPORTED
from edge_agent.collector.export.fhir.narrative import narrative
from edge_agent.collector.export.units import unit_of
from edge_agent.contracts import Reason

BASE = "https://leukoscope.invalid/fhir"
"""Prefix of the names of the project's own systems. They are only names: ``.invalid`` never belongs to anybody."""

UCUM = "http://unitsofmeasure.org"
URI = "urn:ietf:rfc:3986"

_HL7 = "http://terminology.hl7.org/CodeSystem"

LABORATORY = {"system": f"{_HL7}/observation-category", "code": "laboratory", "display": "Laboratory"}
HEMATOLOGY = {"system": f"{_HL7}/v2-0074", "code": "HM", "display": "Hematology"}
RESEARCH = {"system": f"{_HL7}/v3-ActReason", "code": "HRESCH", "display": "healthcare research"}
TEST_DATA = {"system": f"{_HL7}/v3-ActReason", "code": "HTEST", "display": "test health data"}

_ABSENT = {
    "error": "Error",
    "not-applicable": "Not Applicable",
    "not-performed": "Not Performed",
    "unknown": "Unknown",
}

_CONCEPTS = {
    "field-reading": "Automated reading of one field of a blood smear by an image classifier. Research use only.",
    "slide-summary": "Counts of the automated readings of one slide. Research use only; no finding about a person.",
    "slide-report": "Automated readings of one slide, not verified by a person. Research use only.",
    "image-analysis": "Automated analysis of a microscope's picture.",
    "blood-smear": "A stained blood smear on a slide.",
    "microscope-camera": "A camera on a microscope with the program and the model that judge its pictures.",
}

_MARKINGS = {
    "research-only": "Not a medical device's result; may not be used for diagnosis.",
    "demonstration": "The model was not trained on real smears: the result has no meaning.",
    "provisional": "No record shows that the model is right often enough: its answers are withheld.",
}


def coding(system: str, code: str, display: str | None = None) -> dict[str, str]:
    """A code of one of the project's own systems."""
    found = {"system": f"{BASE}/CodeSystem/{system}", "code": code}
    return found if display is None else found | {"display": display}


def concept(code: str) -> dict[str, Any]:
    """The ``CodeableConcept`` that says what an observation, a report, a specimen or a device is."""
    text = _CONCEPTS[code]
    return {"coding": [coding("concept", code, display_of(code))], "text": text}


def display_of(code: str) -> str:
    """``field-reading`` as ``Field reading``."""
    return code.replace("-", " ").replace("_", " ").capitalize()


def absent(code: str) -> dict[str, str]:
    """HL7's reason for a missing value."""
    return {"system": f"{_HL7}/data-absent-reason", "code": code, "display": _ABSENT[code]}


def measure(name: str) -> dict[str, Any]:
    """The code of a figure, by the name of its column."""
    return {"coding": [coding("measure", _measure_code(name), display_of(name))], "text": display_of(name)}


def quantity(name: str, value: float, unit_name: str | None = None) -> dict[str, Any]:
    """A figure with its unit in UCUM; the unit is that of ``unit_name``, or of ``name``."""
    unit = unit_of(unit_name or name)
    if unit is None:
        raise ValueError(f"{name} has no unit")
    return {"value": value, "unit": unit.name, "system": UCUM, "code": unit.ucum}


def markings(*, demonstration: bool, provisional: bool) -> dict[str, Any]:
    """``meta`` of a resource, which says what it may be used for."""
    tags = ["research-only", *(["demonstration"] if demonstration else []), *(["provisional"] if provisional else [])]
    return {
        "security": [RESEARCH, *([TEST_DATA] if demonstration else [])],
        "tag": [coding("marking", tag, display_of(tag)) for tag in tags],
    }


def code_systems() -> Iterator[dict[str, Any]]:
    """``CodeSystem`` resources that define every code of the project's own."""
    yield _system("concept", "What is exported.", _CONCEPTS)
    yield _system("marking", "What a resource may be used for.", _MARKINGS)
    yield _system(
        "reason", "Why a field has no label.", {each.value: f"{each.sentence} {each.next_step}" for each in Reason}
    )
    yield _system("measure", "Figures of a reading or of a slide.", _measures())
    # The codes of these systems are each model's own, or an error's, so they cannot be listed.
    yield _system("label", "Classes of the models; a model's manifest says what they mean.")
    yield _system("label-probability", "The probability that a model gives to the class of that code.")
    yield _system("label-count", "How many classified fields have the class of that code.")
    yield _system("type-count", "How many judged cells have the type of that code.")
    yield _system("outcome-count", "How many readings have the outcome of that code.")
    yield _system("error", "Codes of errors, which the documentation of the device lists.")


def _measure_code(name: str) -> str:
    return name.replace("_", "-")


def _measures() -> dict[str, str]:
    columns = [column for each in ("reports", "results") for column in EXPORTED[each].columns]
    figures = {column.name: column.description for column in columns if column.unit or column.name in PLAIN_NUMBERS}
    return {_measure_code(name): description for name, description in figures.items()}


PLAIN_NUMBERS = ("field", "repeats_field")
"""Numbers of something, which have no unit."""


def _system(name: str, description: str, concepts: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A code system with its concepts, or without them if they are not to be listed."""
    title = f"Leukoscope: {display_of(name).lower()}"
    listed: Sequence[dict[str, str]] = [
        {"code": code, "display": display_of(code), "definition": definition}
        for code, definition in (concepts or {}).items()
    ]
    return {
        "resourceType": "CodeSystem",
        "meta": markings(demonstration=False, provisional=False),
        "text": narrative(title, description),
        "url": f"{BASE}/CodeSystem/{name}",
        "version": __version__,
        "name": f"Leukoscope{''.join(part.capitalize() for part in name.split('-'))}",
        "title": title,
        "status": "draft",
        "experimental": True,
        "description": description,
        "caseSensitive": True,
        "content": "complete" if concepts else "not-present",
        **({"concept": listed} if concepts else {}),
    }
