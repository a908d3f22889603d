"""Reads what arrives. Whatever it is, it becomes a message of the contract or says why it is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from edge_agent.contracts import MESSAGES

MAX_BYTES = 256 * 1024
"""Ten times the largest message of a device."""

_TOPIC = re.compile(r"leukoscope/v1/(?P<site>[a-z0-9-]+)/(?P<device>[a-z0-9-]+)/(?P<kind>[a-z]+)(?:/[^/]+)?")
_SCHEMA = re.compile(r"leukoscope/(?P<kind>[a-z-]+)/v(?P<version>[0-9]+)")
_KINDS = {"last": "result", "model": "model-reported"}
"""Messages that their topic calls otherwise."""


class Fault(StrEnum):
    """What may be wrong with a message."""

    FOREIGN = "foreign"
    """Of another product, or of another device than its topic says."""
    FUTURE = "future"
    """Of a later version of the contract."""
    DAMAGED = "damaged"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the contract."""

    site: str
    device: str
    kind: str
    body: BaseModel


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is not stored as what it claims to be."""

    fault: Fault
    reason: str


def read(topic: str, payload: bytes) -> Message | Unreadable:
    """What ``payload`` says. Never raises."""
    found = _TOPIC.fullmatch(topic)
    if found is None:
        return Unreadable(Fault.FOREIGN, "no device has such a topic")
    kind = _KINDS.get(found["kind"], found["kind"])
    model = MESSAGES.get(kind)
    if model is None:
        return Unreadable(Fault.FOREIGN, f"no message of a device is called {kind}")
    if len(payload) > MAX_BYTES:
        return Unreadable(
            Fault.TOO_LARGE, f"{len(payload)} bytes are more than the {MAX_BYTES} that a message may have"
        )
    try:
        body = model.model_validate_json(payload)
    # A year that does not exist in UTC is an OverflowError, deep nesting a RecursionError.
    except (ValidationError, ValueError, OverflowError, RecursionError) as error:
        return _explain(kind, payload, error)
    said = getattr(body, "site", None) or found["site"], getattr(body, "device", None)
    if said != (found["site"], found["device"]):
        return Unreadable(
            Fault.FOREIGN, f"it says that it is of {said[0]}/{said[1]}, and its topic names another device"
        )
    return Message(found["site"], found["device"], kind, body)


def _explain(kind: str, payload: bytes, error: Exception) -> Unreadable:
    try:
        content = from_json(payload)
    except ValueError as reason:
        return Unreadable(Fault.DAMAGED, f"it is not JSON: {reason}")
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(schema, str):
        return Unreadable(Fault.FOREIGN, "it does not name its schema")
    found = _SCHEMA.fullmatch(schema)
    if found is None or found["kind"] != kind:
        return Unreadable(Fault.FOREIGN, f"its schema is {schema[:100]!r}")
    ours = str(MESSAGES[kind].model_fields["schema_"].default)
    if schema != ours:
        return Unreadable(Fault.FUTURE, f"its schema is {schema}; this release knows {ours}")
    if isinstance(error, ValidationError):
        # Without the values, which may be anything.
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems[:5])
    else:
        said = str(error)
    return Unreadable(Fault.DAMAGED, said)
