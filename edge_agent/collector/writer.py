"""Writes a batch of messages in one transaction. Rows that exist already are left as they are."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, and_, case, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from edge_agent.collector.database import explain_database_error, is_fault_of_a_row
from edge_agent.collector.partitions import DayPartitions
from edge_agent.collector.rows import Entry, unreadable_entry
from edge_agent.collector.tables import BY_DAY, collectors, devices, results, unreadable
from edge_agent.contracts import StatusState

log = logging.getLogger(__name__)

_DEVICE_KEY = ("site", "device")

_COUNTED = {"preserve_rowcount": True}

_TRIMMED_EVERY = 100
"""Rows of ``unreadable`` may exceed their limit by this many."""


@dataclass(slots=True)
class Written:
    """The result of writing a batch."""

    stored_count: Counter[str] = field(default_factory=Counter)
    """New rows, by table."""
    repeated_count: int = 0
    """Messages that were in the database already."""
    refused_count: int = 0
    """Messages that the database refused; they are in ``unreadable``, which counts them as well."""

    def add(self, other: Written) -> None:
        """Add the counts of another batch."""
        self.stored_count += other.stored_count
        self.repeated_count += other.repeated_count
        self.refused_count += other.refused_count


class Writer:
    """The only class that writes messages.

    Its methods raise ``DatabaseError``, and may then be called again with the same arguments: nothing is doubled.
    """

    def __init__(self, engine: Engine, *, unreadable_count: int) -> None:
        self._engine = engine
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._unreadable_count = unreadable_count
        self._untrimmed = _TRIMMED_EVERY
        self.partitions = DayPartitions(engine)

    def write(self, entries: Sequence[Entry]) -> Written:
        """Store messages; all are in the database once this returns.

        A message that the database refuses becomes a row of ``unreadable``, and the others are stored.
        """
        if not entries:
            return Written()
        try:
            self._prepare_partitions(entries)
            return self._write_together(entries)
        except (SQLAlchemyError, ValueError, OverflowError) as error:
            if is_fault_of_a_row(error):
                return self._write_apart(entries, error)
            raise self._explained(error) from error

    def write_states(self, entries: Iterable[Entry]) -> None:
        """Store the states of devices, of which the newest of each topic is enough.

        Each kind of message has its own transaction, which takes the devices in order, so that two collectors that
        write the same devices never wait for each other in a circle.
        """
        by_columns: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
        for entry in entries:
            by_columns[tuple(entry.row)].append(entry)
        for alike in by_columns.values():
            alike.sort(key=lambda entry: (entry.row["site"], entry.row["device"]))
            try:
                with self._engine.begin() as connection:
                    self._upsert_devices(connection, [entry.row for entry in alike])
            except (SQLAlchemyError, ValueError, OverflowError) as error:
                if not is_fault_of_a_row(error):
                    raise self._explained(error) from error
                self._write_states_apart(alike, error)

    def write_own_figures(self, figures: Mapping[str, Any]) -> None:
        """Write the row of this collector."""
        statement = self._insert(collectors).values(**figures)
        changed = {name: statement.excluded[name] for name in figures if name != "instance"}
        try:
            with self._engine.begin() as connection:
                connection.execute(statement.on_conflict_do_update(index_elements=["instance"], set_=changed))
        except SQLAlchemyError as error:
            raise self._explained(error) from error

    def _prepare_partitions(self, entries: Sequence[Entry]) -> None:
        moments: dict[str, list[datetime]] = defaultdict(list)
        for entry in entries:
            column = BY_DAY.get(entry.table.name)
            if column is not None:
                moments[entry.table.name].append(entry.row[column])
        self.partitions.prepare(moments, datetime.now(UTC))

    def _write_together(self, entries: Sequence[Entry]) -> Written:
        by_table: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        tables: dict[str, Table] = {}
        for entry in entries:
            by_table[entry.table.name].append(entry.row)
            tables[entry.table.name] = entry.table
        written = Written()
        with self._engine.begin() as connection:
            for name, rows in by_table.items():
                statement = self._insert(tables[name]).on_conflict_do_nothing()
                stored = connection.execute(statement, rows, execution_options=_COUNTED).rowcount
                written.stored_count[name] = stored
                written.repeated_count += len(rows) - stored
            if results.name in by_table:
                newest = _newest(by_table[results.name])
                if newest:
                    self._upsert_devices(connection, newest)
            if unreadable.name in by_table:
                self._trim(connection, len(by_table[unreadable.name]))
        return written

    def _write_apart(self, entries: Sequence[Entry], error: Exception) -> Written:
        """Halve a batch until the message that the database refuses is alone."""
        if len(entries) > 1:
            middle = len(entries) // 2
            written = self.write(entries[:middle])
            written.add(self.write(entries[middle:]))
            return written
        [entry] = entries
        if entry.table is unreadable:
            raise self._explained(error) from error
        written = self.write([self._refused(entry, error)])
        written.refused_count += 1
        return written

    def _write_states_apart(self, entries: Sequence[Entry], error: Exception) -> None:
        if len(entries) == 1:
            self.write([self._refused(entries[0], error)])
            return
        for entry in entries:
            self.write_states([entry])

    def _refused(self, entry: Entry, error: Exception) -> Entry:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        log.warning("%s: the database does not take this message: %s", entry.origin.topic, reason[0] if reason else "")
        return unreadable_entry(entry.origin, "refused", f"The database does not take it: {' '.join(reason)}")

    def _upsert_devices(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        statement = self._insert(devices)
        new = statement.excluded
        changed: dict[str, Any] = {name: new[name] for name in rows[0] if name not in _DEVICE_KEY}
        condition = None
        if "newest_seq" in rows[0]:
            condition = or_(
                devices.c.newest_session.is_(None),
                and_(
                    new.newest_session != devices.c.newest_session,
                    new.newest_received_at >= devices.c.newest_received_at,
                ),
                and_(new.newest_session == devices.c.newest_session, new.newest_seq > devices.c.newest_seq),
            )
        elif "session" in rows[0]:
            # The session rule: a will belongs to one session, and is out of date once the device is in another.
            condition = or_(
                devices.c.session.is_(None),
                new.state != StatusState.LOST.value,
                new.session == devices.c.session,
            )
            # A retained status that is read again, perhaps much later, does not show that the device is alive.
            changed["status_received_at"] = case(
                (devices.c.status_at.is_distinct_from(new.status_at), new.status_received_at),
                else_=devices.c.status_received_at,
            )
        upsert = statement.on_conflict_do_update(index_elements=list(_DEVICE_KEY), set_=changed, where=condition)
        connection.execute(upsert, list(rows))

    def _trim(self, connection: Connection, added: int) -> None:
        """Delete the oldest rows of ``unreadable`` beyond its limit."""
        self._untrimmed += added
        if self._untrimmed < _TRIMMED_EVERY:
            return
        self._untrimmed = 0
        newest = select(unreadable.c.number).order_by(unreadable.c.number.desc())
        last_kept = connection.scalar(newest.limit(1).offset(self._unreadable_count))
        if last_kept is not None:
            connection.execute(delete(unreadable).where(unreadable.c.number <= last_kept))

    def _explained(self, error: Exception) -> Exception:
        return explain_database_error(error, self._engine) if isinstance(error, SQLAlchemyError) else error


def _newest(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The newest result of each device that is not backlog, in the order of the devices.

    Within a session its number decides, else the order of arrival: a clock set back makes a new session look old.
    """
    newest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        key = row["site"], row["device"]
        known = newest.get(key)
        is_repeat = known is not None and row["session"] == known["session"] and row["seq"] < known["seq"]
        if not row["replayed"] and not is_repeat:
            newest[key] = row
    return [
        {
            "site": site,
            "device": device,
            "newest_session": row["session"],
            "newest_seq": row["seq"],
            "newest_captured_at": row["captured_at"],
            "newest_received_at": row["received_at"],
            "updated_at": row["received_at"],
        }
        for (site, device), row in sorted(newest.items())
    ]
