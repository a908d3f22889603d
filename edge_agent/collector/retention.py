"""Deletes rows that are older than the configuration wants to keep."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Engine, MetaData, Table, and_, delete, or_, select, text, tuple_
from sqlalchemy.exc import DBAPIError

from edge_agent.collector.column_types import seconds_between
from edge_agent.collector.partitions import PAST, has_timescale, is_partitioned, partitions_of
from edge_agent.collector.settings import RetentionSettings
from edge_agent.collector.tables import BY_DAY, metadata, reports

log = logging.getLogger(__name__)

_AT_ONCE = 5000
"""Rows that one transaction deletes, so that the collector never waits long."""

_LOCK = 0x1E0C05C2


def apply_retention(
    engine: Engine, settings: RetentionSettings, now: datetime, *, lock_timeout_s: float = 2.0
) -> dict[str, int]:
    """Delete old rows. Returns the number of partitions dropped, or of rows deleted, by table.

    Several collectors may do this at the same time. Age counts from the device's own time. Rows of a clock that is far
    off, in the default partition, are as old as their receipt. Raises SQLAlchemy's errors.
    """
    with engine.connect() as connection:
        timescale, partitioned = has_timescale(connection), is_partitioned(connection)
    done: dict[str, int] = {}
    for name, days in settings.days().items():
        if days is None:
            continue
        table = metadata.tables[name]
        cut = now.astimezone(UTC) - timedelta(days=days)
        if name not in BY_DAY:
            done[name] = _delete_rows(engine, table, _is_old(table, reports.c.finished_at.name, cut))
        elif timescale:
            done[name] = _drop_chunks(engine, name, cut)
        elif partitioned:
            done[name] = _drop_partitions(engine, name, cut, lock_timeout_s)
            default = table.to_metadata(MetaData(), name=f"{name}_default")
            done[default.name] = _delete_rows(engine, default, default.c.received_at < cut)
        else:
            done[name] = _delete_rows(engine, table, _is_old(table, BY_DAY[name], cut))
    done = {name: count for name, count in done.items() if count}
    for name, count in done.items():
        kind = "partitions" if partitioned and name in BY_DAY else "chunks" if timescale and name in BY_DAY else "rows"
        log.info("retention: deleted %d %s of %s", count, kind, name)
    return done


def _is_old(table: Table, column: str, cut: datetime) -> ColumnElement[bool]:
    """The condition for old rows: by the device's time; by the receipt if its clock is far off (default partition)."""
    return or_(
        table.c.received_at < cut,
        and_(table.c[column] < cut, seconds_between(table.c[column], table.c.received_at) < PAST.total_seconds()),
    )


def _delete_rows(engine: Engine, table: Table, is_old: ColumnElement[bool]) -> int:
    keys = list(table.primary_key)
    some = select(*keys).where(is_old).limit(_AT_ONCE)
    count = 0
    while True:
        with engine.begin() as connection:
            deleted = connection.execute(delete(table).where(tuple_(*keys).in_(some))).rowcount
        count += deleted
        if deleted < _AT_ONCE:
            return count


def _drop_partitions(engine: Engine, table: str, cut: datetime, lock_timeout_s: float) -> int:
    """Drop whole days only: that costs nothing, however many rows they have."""
    with engine.connect() as connection:
        days = partitions_of(connection, table)
    # The day of the cut itself is not over yet.
    old = sorted(day for day in days if day < cut.date())
    return sum(_drop(engine, days[day], lock_timeout_s) for day in old)


def _drop(engine: Engine, name: str, lock_timeout_s: float) -> bool:
    try:
        with engine.begin() as connection:
            # A statement that waits for an exclusive lock blocks all that come after it, so it does not wait long.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(1000 * lock_timeout_s)}")
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is None:
                return False
            connection.exec_driver_sql(f"DROP TABLE {name}")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in {"55P03", "40P01"}:
            raise
        log.info("%s cannot be dropped yet: another process uses it", name)
        return False
    return True


def _drop_chunks(engine: Engine, table: str, cut: datetime) -> int:
    """Drop old chunks by TimescaleDB's own function."""
    with engine.begin() as connection:
        dropped = connection.execute(
            text("SELECT drop_chunks(to_regclass(:table), older_than => :cut)"), {"table": table, "cut": cut}
        )
        return len(dropped.all())
