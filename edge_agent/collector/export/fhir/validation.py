"""Checks every resource before it is written, by the models of ``fhir.resources``.

The models are those of R4B (4.3.0). R4B changed nothing in the resources that are used here; tests check the files
against HL7's own definitions of R4 (4.0.1), with their invariants.
"""

from __future__ import annotations

from typing import Any

from fhir.resources.R4B.codesystem import CodeSystem
from fhir.resources.R4B.device import Device
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.specimen import Specimen
from pydantic import ValidationError

_MODELS = {each.__name__: each for each in (CodeSystem, Device, DiagnosticReport, Observation, Specimen)}


def fault_of(resource: dict[str, Any]) -> str | None:
    """The fault of ``resource``; None if it is valid."""
    try:
        _MODELS[resource["resourceType"]].model_validate(resource)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None
