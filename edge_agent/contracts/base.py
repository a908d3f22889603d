"""What all contract models share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer


class Contract(BaseModel):
    """Closed and immutable: an unknown key is an error on both ends, a message never changes once made.

    The models are the contract's only source: the JSON Schemas are written from them.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    def to_json(self) -> bytes:
        """UTF-8 JSON on one line."""
        return self.model_dump_json().encode()


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("needs a time zone: RFC 3339, UTC")
    return moment.astimezone(UTC)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcTime = Annotated[datetime, AfterValidator(_utc), PlainSerializer(_rfc3339, return_type=str, when_used="json")]
"""RFC 3339 in UTC to the millisecond, such as ``2026-11-23T17:24:50.125Z``."""
