"""Who is who: the same thing gets the same UUID in every export, so that importing it twice changes nothing."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid5

from edge_agent.collector.export.fhir.codes import BASE, URI

_NAMESPACE = UUID("6d3c4f0e-5d0b-4f0e-9a52-6a1f0a3f7c11")


def derived_uuid(*parts: object) -> UUID:
    """The UUID of what these parts describe."""
    return uuid5(_NAMESPACE, json.dumps([str(part) for part in parts]))


def urn(identity: UUID) -> str:
    """The ``fullUrl`` of an entry, and what refers to it."""
    return f"urn:uuid:{identity}"


def reference(identity: UUID) -> dict[str, str]:
    """To another resource of the same Bundle."""
    return {"reference": urn(identity)}


def identifier(identity: UUID) -> dict[str, str]:
    """By which a server finds the resource again."""
    return {"system": URI, "value": urn(identity)}


def local_identifier(kind: str, site: str, value: str) -> dict[str, Any]:
    """The name that a site itself uses; it is unique within the site only."""
    return {"system": f"{BASE}/site/{site}/{kind}", "value": value}
