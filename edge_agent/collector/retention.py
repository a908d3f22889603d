"""Deletes what is older than the configuration wants to keep."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, MetaData, Table, delete, select, text, tuple_
from sqlalchemy.exc import DBAPIError

from edge_agent.collector.partitions import has_timescale, is_partitioned, partitions_of
from edge_agent.collector.settings import RetentionSettings
from edge_agent.collector.tables import BY_DAY, metadata, reports

log = logging.getLogger(__name__)

_AT_ONCE = 5000
"""Rows that one transaction deletes, so that the collector never waits long."""

_LOCK = 0x1E0C05C2
_LOCK_TIMEOUT_S = 2


def apply_retention(engine: Engine, settings: RetentionSettings, now: datetime) -> dict[str, int]:
    """Number of partitions dropped, or of rows deleted, by table. Several collectors may do this at the same time.

    Age counts from the device's own time. Rows of a clock that is far off, in the default partition, are as old as
    their receipt. Raises SQLAlchemy's errors.
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
            done[name] = _delete_rows(engine, table, reports.c.finished_at.name, cut)
        elif timescale:
            done[name] = _drop_chunks(engine, name, cut)
        elif partitioned:
            done[name] = _drop_partitions(engine, name, cut)
            done[f"{name}_default"] = _delete_rows(engine, table, "received_at", cut, suffix="_default")
        else:
            done[name] = _delete_rows(engine, table, BY_DAY[name], cut)
            # A clock that ran ahead never gets old by itself.
            done[name] += _delete_rows(engine, table, "received_at", cut)
    done = {name: count for name, count in done.items() if count}
    for name, count in done.items():
        kind = "partitions" if partitioned and name in BY_DAY else "chunks" if timescale and name in BY_DAY else "rows"
        log.info("retention: deleted %d %s of %s", count, kind, name)
    return done


def _delete_rows(engine: Engine, table: Table, column: str, cut: datetime, suffix: str = "") -> int:
    target = table.to_metadata(MetaData(), name=f"{table.name}{suffix}")
    keys = list(target.primary_key)
    old = select(*keys).where(target.c[column] < cut).limit(_AT_ONCE)
    count = 0
    while True:
        with engine.begin() as connection:
            deleted = connection.execute(delete(target).where(tuple_(*keys).in_(old))).rowcount
        count += deleted
        if deleted < _AT_ONCE:
            return count


def _drop_partitions(engine: Engine, table: str, cut: datetime) -> int:
    """Only whole days are dropped: that costs nothing, however many rows they have."""
    with engine.connect() as connection:
        days = partitions_of(connection, table)
    # The day of the cut itself is not over yet.
    old = sorted(day for day in days if day < cut.date())
    return sum(_drop(engine, days[day]) for day in old)


def _drop(engine: Engine, name: str) -> bool:
    try:
        with engine.begin() as connection:
            # Whoever waits for an exclusive lock holds up all who come after, so it does not wait long.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_S}s'")
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
    """TimescaleDB's own way."""
    with engine.begin() as connection:
        dropped = connection.execute(
            text("SELECT drop_chunks(to_regclass(:table), older_than => :cut)"), {"table": table, "cut": cut}
        )
        return len(dropped.all())
