"""Summarises a database: rows by table, the newest result of each device, and how far behind the collectors are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, or_, select, text

from edge_agent.client.liveness import SILENT_AFTER_S
from edge_agent.collector.column_types import seconds_between
from edge_agent.collector.partitions import FUTURE, PAST, is_partitioned
from edge_agent.collector.tables import collectors, devices, events, metrics, reports, results, unreadable

_COUNTED_UP_TO = 1_000_000
"""Counting more rows takes PostgreSQL seconds, so beyond this its own estimate is shown."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """One table."""

    table: str
    rows_count: int
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class DeviceSummary:
    """One device. The times of the newest result are null if there is none."""

    site: str
    device: str
    state: str | None
    """The state that it reported; ``silent`` if it has sent nothing for three heartbeats."""
    newest_seq: int | None
    newest_captured_at: datetime | None
    newest_received_at: datetime | None
    delay_s: float | None
    """Time from capture to receipt of the newest result. Below zero the device's clock is ahead."""


@dataclass(frozen=True, slots=True)
class CollectorSummary:
    """One collector, as it reported itself at ``seen_at``; its counts are since it started."""

    instance: str
    software: str
    started_at: datetime
    seen_at: datetime
    seen_ago_s: float
    stored_count: int
    repeated_count: int
    unreadable_count: int
    dropped_count: int
    retries_count: int
    behind_s: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of a whole database."""

    tables: tuple[TableSummary, ...]
    clock_far_off_count: int
    """Results whose time of capture is more than a day after their receipt, or more than a year before it."""
    devices: tuple[DeviceSummary, ...]
    collectors: tuple[CollectorSummary, ...]


def summarize(connection: Connection, now: datetime) -> Summary:
    """Read the summary. Raises SQLAlchemy's errors."""
    shown = devices.c
    rows = connection.execute(select(devices).order_by(shown.site, shown.device)).all()
    return Summary(
        tables=tuple(_count(connection, table.name) for table in (results, events, reports, metrics, unreadable)),
        clock_far_off_count=_far_off(connection),
        devices=tuple(
            DeviceSummary(
                site=row.site,
                device=row.device,
                state=_state(row.state, row.status_received_at, now),
                newest_seq=row.newest_seq,
                newest_captured_at=row.newest_captured_at,
                newest_received_at=row.newest_received_at,
                delay_s=_between(row.newest_captured_at, row.newest_received_at),
            )
            for row in rows
        ),
        collectors=tuple(
            CollectorSummary(seen_ago_s=round((now - row["seen_at"]).total_seconds(), 1), **row)
            for row in connection.execute(select(collectors).order_by(collectors.c.instance)).mappings()
        ),
    )


def missing_seqs(connection: Connection, session: UUID) -> tuple[int, int]:
    """Number of results of one run of an agent, and of those missing between its first and its last."""
    count, first, last = connection.execute(
        select(func.count(results.c.seq.distinct()), func.min(results.c.seq), func.max(results.c.seq)).where(
            results.c.session == session
        )
    ).one()
    return count, 0 if first is None else last - first + 1 - count


def _state(state: str | None, received_at: datetime | None, now: datetime) -> str | None:
    if state is None or received_at is None or state in {"lost", "disconnected"}:
        return state
    return "silent" if (now - received_at).total_seconds() > SILENT_AFTER_S else state


def _between(captured_at: datetime | None, received_at: datetime | None) -> float | None:
    if captured_at is None or received_at is None:
        return None
    return round((received_at - captured_at).total_seconds(), 3)


def _count(connection: Connection, table: str) -> TableSummary:
    if connection.dialect.name == "postgresql":
        estimate = connection.scalar(
            text(
                "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class WHERE oid = to_regclass(:table) "
                "OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(:table))"
            ),
            {"table": table},
        )
        if estimate is not None and estimate > _COUNTED_UP_TO:
            return TableSummary(table, estimate, is_estimate=True)
    return TableSummary(table, connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0, is_estimate=False)  # noqa: S608 - our own names


def _far_off(connection: Connection) -> int:
    if is_partitioned(connection):
        return connection.scalar(text("SELECT count(*) FROM results_default")) or 0
    delay_s = seconds_between(results.c.captured_at, results.c.received_at)
    is_off = or_(delay_s < -FUTURE.total_seconds(), delay_s > PAST.total_seconds())
    return connection.scalar(select(func.count()).select_from(results).where(is_off)) or 0
