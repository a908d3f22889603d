"""Column types that mean the same in PostgreSQL and in SQLite."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Double
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond. SQLite has no such type and keeps ISO 8601 text without the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The value as the database stores it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment, always with its zone, UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class seconds_between(GenericFunction[float]):  # noqa: N801 - SQLAlchemy names functions by their class
    """Seconds from the first moment to the second, computed by the database."""

    type = Double()
    inherit_cache = True


@compiles(seconds_between, "postgresql")
def _on_postgresql(element: seconds_between, compiler: Any, **settings: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    begin, end = (compiler.process(each, **settings) for each in element.clauses)
    return f"EXTRACT(EPOCH FROM {end} - {begin})"


@compiles(seconds_between, "sqlite")
def _on_sqlite(element: seconds_between, compiler: Any, **settings: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    begin, end = (compiler.process(each, **settings) for each in element.clauses)
    return f"((julianday({end}) - julianday({begin})) * 86400)"


@dataclass(frozen=True, slots=True)
class RawJson:
    """A JSON document as it came, which is stored without serialising it again."""

    text: str


def dump_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Serialise a value for a JSON column of the engine."""
    return value.text if isinstance(value, RawJson) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


PayloadJson = JSON(none_as_null=True)
"""Column of a message as it was published: PostgreSQL keeps its text."""

FiguresJson = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""Column of a small document that is searched."""
