"""Parses a broker's deliveries. Each becomes a message of the contract, or says why it is not one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError
from pydantic_core import from_json

from edge_agent.contracts import (
    Answer,
    Event,
    Health,
    Info,
    Metrics,
    ModelReported,
    OpenContract,
    OpenSpecimen,
    Report,
    Result,
    Status,
)

MAX_BYTES = 256 * 1024
"""Ten times the largest message of a device."""

_MODELS: dict[str, type[OpenContract]] = {
    "answer": Answer,
    "event": Event,
    "health": Health,
    "info": Info,
    "last": Result,
    "metrics": Metrics,
    "model/reported": ModelReported,
    "report": Report,
    "result": Result,
    "specimen": OpenSpecimen,
    "status": Status,
}
KINDS = tuple(_MODELS)
"""The kinds of messages of a device, as the part of the topic that names them."""

_TOPIC = re.compile(
    r"leukoscope/v1/(?P<site>[a-z0-9-]+)/(?P<device>[a-z0-9-]+)/"
    r"(?P<kind>answer(?=/.)|result(?=/[a-z0-9-]+$)|(?:event|health|info|last|metrics|model/reported|report|specimen|status)$)"
    r"(?:/.*)?",
    re.DOTALL,
)
_SCHEMA = re.compile(r"leukoscope/(?P<name>[a-z-]+)/v(?P<version>[0-9]+)")


class Fault(StrEnum):
    """The fault of an unreadable delivery."""

    FOREIGN = "foreign"
    """It is of another product, or of another device than its topic says."""
    FUTURE = "future"
    """It is of a later version of the contract."""
    DAMAGED = "damaged"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the contract."""

    site: str
    device: str
    kind: str
    """One of ``KINDS``."""
    body: OpenContract
    """A ``Result`` for ``result`` and ``last``, a ``Status`` for ``status``, and so on."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Any other delivery. Count it, and go on."""

    topic: str
    fault: Fault
    reason: str
    size_bytes: int


def parse(topic: str, payload: bytes) -> Message | Unreadable:
    """Parse ``payload`` as the message of its topic. Fields that this release does not know are ignored.

    Never raises.
    """
    fault, reason = Fault.FOREIGN, "no device has such a topic"
    found = _TOPIC.fullmatch(topic)
    if found is not None:
        model = _MODELS[found["kind"]]
        if len(payload) > MAX_BYTES:
            fault, reason = Fault.TOO_LARGE, f"{len(payload)} bytes are more than the {MAX_BYTES} of a message"
        else:
            try:
                body = model.model_validate_json(payload, extra="ignore")
            # Deep nesting is a RecursionError.
            except (ValueError, OverflowError, RecursionError) as error:
                fault, reason = _explain(model, payload, error)
            else:
                if getattr(body, "site", None) is None:
                    # Release 0.2.0 named the site in the topic alone.
                    body = body.model_copy(update={"site": found["site"]})
                said = getattr(body, "site", None), getattr(body, "device", None)
                if said == (found["site"], found["device"]):
                    return Message(found["site"], found["device"], found["kind"], body)
                reason = f"it says that it is of {said[0]}/{said[1]}, and its topic names another device"
    return Unreadable(topic, fault, reason, len(payload))


def _explain(model: type[OpenContract], payload: bytes, error: Exception) -> tuple[Fault, str]:
    try:
        content = from_json(payload)
    except ValueError as reason:
        return Fault.DAMAGED, f"it is not JSON: {reason}"
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(schema, str):
        return Fault.FOREIGN, "it does not name its schema"
    ours = str(model.model_fields["schema_"].default)
    found, known = _SCHEMA.fullmatch(schema), _SCHEMA.fullmatch(ours)
    if found is None or known is None or found["name"] != known["name"]:
        return Fault.FOREIGN, f"its schema is {schema[:100]!r}"
    if schema != ours:
        return Fault.FUTURE, f"its schema is {schema[:100]}; this release knows {ours}"
    if isinstance(error, ValidationError):
        # Without the values, which may be anything.
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return Fault.DAMAGED, "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems[:5])
    return Fault.DAMAGED, str(error)
