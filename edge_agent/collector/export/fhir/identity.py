"""Derives identities: the same thing gets the same UUID in every export, so importing it twice changes nothing."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid5

from edge_agent.collector.export.fhir.codes import BASE, URI

_NAMESPACE = UUID("6d3c4f0e-5d0b-4f0e-9a52-6a1f0a3f7c11")


def derived_uuid(*parts: object) -> UUID:
    """The UUID of the thing that these parts describe."""
    return uuid5(_NAMESPACE, json.dumps([str(part) for part in parts]))


def urn(identity: UUID) -> str:
    """The ``fullUrl`` of an entry, which references to it use too."""
    return f"urn:uuid:{identity}"


def reference(identity: UUID) -> dict[str, str]:
    """A reference to another resource of the same Bundle."""
    return {"reference": urn(identity)}


def identifier(identity: UUID) -> dict[str, str]:
    """The identifier by which a server finds the resource again."""
    return {"system": URI, "value": urn(identity)}


def local_identifier(kind: str, site: str, value: str) -> dict[str, Any]:
    """The name that a site itself uses; it is unique only within the site."""
    return {"system": f"{BASE}/site/{site}/{kind}", "value": value}
