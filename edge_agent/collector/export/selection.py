"""Selects the rows to export, and reads them a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, Table, literal, select

from edge_agent.collector.database import database_errors
from edge_agent.collector.export.columns import USE, ExportedTable
from edge_agent.collector.schema import require_schema
from edge_agent.collector.tables import devices, reports, results
from edge_agent.errors import SelectionUnknown

FETCHED_COUNT = 2000
"""Most rows in memory at the same time."""

_LISTED_COUNT = 20


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a time range, a site, a device, a specimen; None for all of them.

    The range is half open: it begins with ``since`` and ends before ``until``, so that adjacent ranges share no row.
    """

    since: datetime | None = None
    until: datetime | None = None
    site: str | None = None
    device: str | None = None
    specimen: str | None = None

    def conditions(self, table: Table, time: str) -> list[ColumnElement[bool]]:
        """Conditions for a ``WHERE`` over ``table``; the range applies to its column ``time``."""
        found = []
        if self.since is not None:
            found.append(table.c[time] >= self.since)
        if self.until is not None:
            found.append(table.c[time] < self.until)
        for name in ("site", "device", "specimen"):
            value = getattr(self, name)
            if value is not None and name in table.c:
                found.append(table.c[name] == value)
        return found

    def described(self) -> dict[str, str]:
        """The given conditions, for the metadata of a file."""
        asked = {
            "from": None if self.since is None else self.since.isoformat(),
            "to": None if self.until is None else self.until.isoformat(),
            "site": self.site,
            "device": self.device,
            "specimen": self.specimen,
        }
        return {name: value for name, value in asked.items() if value is not None}


@contextmanager
def open_reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the database as it is now, until the end, whatever the collector writes meanwhile.

    Raises ``DatabaseError``, even for errors within the block.
    """
    with database_errors(engine):
        require_schema(engine)
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(  # noqa: PLW2901 - the same one
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            else:
                # Without this SQLite's driver would begin no transaction for a SELECT.
                connection.exec_driver_sql("BEGIN")
            yield connection


def stream(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Row[Any]]]:
    """The rows of ``query``, at most ``FETCHED_COUNT`` at a time, by a cursor of the server."""
    options = {"stream_results": True, "yield_per": FETCHED_COUNT}
    yield from connection.execute(query, execution_options=options).partitions()


def rows_query(exported: ExportedTable, selection: Selection) -> Select[Any]:
    """The exported columns of the selected rows, the oldest first."""
    table = exported.table
    columns = [
        literal("research-only").label(USE.name) if column is USE else table.c[column.name]
        for column in exported.columns
    ]
    conditions = selection.conditions(table, exported.time)
    return select(*columns).where(*conditions).order_by(table.c[exported.time], table.c.id)


def check_selection(connection: Connection, selection: Selection) -> None:
    """Raise ``SelectionUnknown``, which names the existing ones, for an unknown site, device or specimen."""
    known = connection.execute(select(devices.c.site, devices.c.device).order_by(devices.c.site, devices.c.device))
    by_site: dict[str, list[str]] = {}
    for site, device in known:
        by_site.setdefault(site, []).append(device)
    if selection.site is not None and selection.site not in by_site:
        raise SelectionUnknown(f"There is no site {selection.site!r}. {_listed('Sites', by_site)}")
    of_site = by_site.get(selection.site, []) if selection.site else sorted({d for ds in by_site.values() for d in ds})
    if selection.device is not None and selection.device not in of_site:
        where = f" at the site {selection.site!r}" if selection.site else ""
        raise SelectionUnknown(f"There is no device {selection.device!r}{where}. {_listed('Devices', of_site)}")
    if selection.specimen is not None and not any(
        _has_specimen(connection, table, selection) for table in (results, reports)
    ):
        where = f" at the site {selection.site!r}" if selection.site else ""
        raise SelectionUnknown(
            f"There is no specimen {selection.specimen!r}{where}.",
            remedy="Check its id: capital and small letters differ.",
        )


def _has_specimen(connection: Connection, table: Table, selection: Selection) -> bool:
    query = select(table.c.specimen).where(table.c.specimen == selection.specimen)
    if selection.site is not None:
        query = query.where(table.c.site == selection.site)
    return connection.execute(query.limit(1)).first() is not None


def _listed(what: str, names: Sequence[str] | dict[str, list[str]]) -> str:
    if not names:
        return "The database knows none yet."
    shown = ", ".join(list(names)[:_LISTED_COUNT])
    more = len(names) - _LISTED_COUNT
    return f"{what}: {shown}{f' and {more} more' if more > 0 else ''}."
