"""What all contract models share."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema


class Contract(BaseModel):
    """Closed and immutable: an unknown key is an error, and a message never changes once it is made.

    What is sent to a device, and what it reads from files. The models are the contract's only source: the JSON Schemas
    are written from them.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
    )

    def to_json(self) -> bytes:
        """UTF-8 JSON on one line."""
        return self.model_dump_json().encode()


class OpenContract(Contract):
    """What a device sends. Later releases may add fields: a reader ignores those that it does not know."""

    model_config = ConfigDict(extra="ignore")


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("needs a time zone: RFC 3339, UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        # The first hours of the year 1 east of Greenwich, say. Pydantic reports a ValueError only.
        raise ValueError("is outside of the calendar in UTC") from error


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcTime = Annotated[
    datetime,
    AfterValidator(_utc),
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""RFC 3339 in UTC to the millisecond, such as ``2026-11-23T17:24:50.125Z``."""

Ratio = Annotated[float, Field(ge=0, le=1)]
"""A share or a probability: 1 is all."""

UUID_PATTERN = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$(?!\n)"
"""RFC 9562, as JSON Schema (ECMA 262) and Python read it: no braces, no ``urn:uuid:``, either case."""


def _canonical(value: object) -> object:
    """Python's UUID accepts more forms than the schema allows."""
    if isinstance(value, str):
        if not re.search(UUID_PATTERN, value):
            raise ValueError("needs the form 123e4567-e89b-12d3-a456-426614174000")
        return UUID(value)
    return value


CanonicalUuid = Annotated[
    UUID,
    BeforeValidator(_canonical),
    WithJsonSchema({"type": "string", "format": "uuid", "pattern": UUID_PATTERN, "minLength": 36, "maxLength": 36}),
]
"""A UUID sent by another program, in the one form that the schema allows."""


def whole_number(value: object) -> object:
    """A float without a fraction as an int: in JSON 2.0 is an integer, which pydantic's strict mode refuses."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
