"""Partitions the tables that grow with time by day. Only PostgreSQL needs it; TimescaleDB makes its own partitions.

A row of a day without a partition lies in ``..._default``, and moves when its day gets a partition.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from edge_agent.collector.tables import BY_DAY

log = logging.getLogger(__name__)

DAYS_AHEAD = 3
"""Days after today that get their partitions in advance: making one needs a lock that a long export may hold."""

PAST = timedelta(days=366)
FUTURE = timedelta(days=1)
"""Days outside this window come from a clock that is far off; they share the default partition."""

_LOCK = 0x1E0C05C1
_PAUSE_S = 60.0
"""Pause between two attempts to make a partition that another process prevents."""


def has_timescale(connection: Connection) -> bool:
    """Whether this database has the extension TimescaleDB."""
    if connection.dialect.name != "postgresql":
        return False
    return bool(connection.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'")))


def is_partitioned(connection: Connection) -> bool:
    """Whether the tables are partitioned by day."""
    if connection.dialect.name != "postgresql":
        return False
    return bool(connection.scalar(text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('results')")))


class DayPartitions:
    """Makes partitions when they are needed. Several collectors may do so at the same time."""

    def __init__(self, engine: Engine, *, lock_timeout_s: float = 2.0) -> None:
        self._engine = engine
        self._lock_timeout_ms = round(1000 * lock_timeout_s)
        self._is_partitioned: bool | None = None
        self._known: dict[str, set[date]] = {table: set() for table in BY_DAY}
        self._not_before: dict[tuple[str, date], float] = {}

    def prepare(self, moments: Mapping[str, Iterable[datetime]], now: datetime) -> None:
        """Make the partitions of these moments, by table, if they are within the window.

        A partition that another process prevents is left for later; its rows lie in the default partition meanwhile.
        Raises SQLAlchemy's errors of a database that does not work.
        """
        wanted = {
            table: {moment.astimezone(UTC).date() for moment in each if now - PAST <= moment < now + FUTURE}
            - self._known[table]
            for table, each in moments.items()
        }
        self._make(wanted)

    def prepare_ahead(self, now: datetime) -> None:
        """Make the partitions of today and the days to come."""
        days = {now.date() + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)}
        self._make({table: days - self._known[table] for table in BY_DAY})

    def forget(self) -> None:
        """Forget the known partitions, which may have been dropped, so that the database is asked again."""
        self._known = {table: set() for table in BY_DAY}

    def _make(self, wanted: dict[str, set[date]]) -> None:
        if not any(wanted.values()):
            return
        if self._is_partitioned is None:
            with self._engine.connect() as connection:
                self._is_partitioned = is_partitioned(connection)
        if not self._is_partitioned:
            for table, days in wanted.items():
                self._known[table] |= days
            return
        for table, days in wanted.items():
            for day in sorted(days):
                if self._make_one(table, day):
                    self._known[table].add(day)

    def _make_one(self, table: str, day: date) -> bool:
        if time.monotonic() < self._not_before.get((table, day), 0.0):
            return False
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {self._lock_timeout_ms}")
                _make_partition(connection, table, day)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in {"55P03", "40P01", "23514"}:
                raise
            self._not_before[table, day] = time.monotonic() + _PAUSE_S
            log.info("the partition of %s for %s has to wait: another process uses the table", table, day)
            return False
        return True


def partition_name(table: str, day: date) -> str:
    """Name of a day's partition, such as ``results_20261129``."""
    return f"{table}_{day:%Y%m%d}"


def partitions_of(connection: Connection, table: str) -> dict[date, str]:
    """The table's partitions by day."""
    found = connection.scalars(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table)"), {"table": table}
    )
    days: dict[date, str] = {}
    for name in found:
        end = name.rpartition("_")[2]
        if end.isdigit():
            days[datetime.strptime(end, "%Y%m%d").replace(tzinfo=UTC).date()] = name
    return days


def _make_partition(connection: Connection, table: str, day: date) -> None:
    name, column = partition_name(table, day), BY_DAY[table]
    begin, end = f"'{day} 00:00:00+00'", f"'{day + timedelta(days=1)} 00:00:00+00'"

    def run(statement: str) -> None:
        connection.exec_driver_sql(statement)

    run(f"SELECT pg_advisory_xact_lock({_LOCK})")
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is not None:
        return
    # Attached rather than created in its place: that needs no exclusive lock on the whole table. Whatever a clock that
    # ran ahead has put into the default partition for this day must move first.
    run(f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE")
    run(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    run(
        f"WITH moved AS (DELETE FROM {table}_default WHERE {column} >= {begin} AND {column} < {end} RETURNING *) "  # noqa: S608 - our own names
        f"INSERT INTO {name} SELECT * FROM moved"
    )
    run(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})")
