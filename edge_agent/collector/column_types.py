"""Columns that mean the same in PostgreSQL and in SQLite."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond. SQLite has no such type and keeps ISO 8601 text without the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As the database wants it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Always with its zone, UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class RawJson:
    """A JSON document as it came, which is stored without being written anew."""

    text: str


def dump_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """What the engine serialises JSON columns with."""
    return value.text if isinstance(value, RawJson) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


PayloadJson = JSON(none_as_null=True)
"""A message as it was published: PostgreSQL keeps its text."""

FiguresJson = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A small document that is searched."""
