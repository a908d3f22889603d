"""A device in the state in which it made a reading: with another program, model or head it is another ``Device``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from edge_agent.collector.export.fhir.codes import concept, markings
from edge_agent.collector.export.fhir.identity import derived_uuid, identifier, local_identifier
from edge_agent.collector.export.fhir.narrative import narrative, plain_text


def device_identity(row: Row[Any]) -> UUID:
    """The identity of the device that made the reading ``row``."""
    return derived_uuid("device", row.site, row.device, row.camera, *_state(row))


def _state(row: Row[Any]) -> tuple[object, ...]:
    model = row.model_name, row.model_version, row.model_sha256, row.head_name, row.head_version
    return row.software, *model, row.demonstration, row.provisional


def device(row: Row[Any]) -> dict[str, Any]:
    """The ``Device`` that made the reading ``row``."""
    model = f"{row.model_name} {row.model_version}"
    versions = [("program", row.software), ("model", model), ("model-sha256", row.model_sha256)]
    if row.head_name is not None:
        versions.append(("head", f"{row.head_name} {row.head_version}"))
    name = f"{row.site}/{row.device}"
    return {
        "resourceType": "Device",
        "meta": markings(demonstration=row.demonstration, provisional=row.provisional),
        "text": narrative(f"Device {name}, camera {row.camera}: {row.software}, model {model}."),
        "identifier": [identifier(device_identity(row)), local_identifier("device", row.site, row.device)],
        "deviceName": [{"name": plain_text(name), "type": "user-friendly-name"}],
        "type": concept("microscope-camera"),
        "version": [{"type": {"text": kind}, "value": plain_text(value)} for kind, value in versions],
        "note": [{"text": "Not a medical device."}],
    }
