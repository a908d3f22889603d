"""The table of quarantined messages in the spool's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from edge_agent.spool.rows import QuarantinedRow, storable

# Added to the tables of version 1, so an older agent can still use the file. The columns have no types, so that damaged
# values can be stored unchanged.
QUARANTINE_SCHEMA = """
CREATE TABLE IF NOT EXISTS quarantine (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id,
    topic,
    payload,
    accepted_s,
    code TEXT NOT NULL,
    reason TEXT NOT NULL
);
"""

_INSERT = "INSERT INTO quarantine (id, topic, payload, accepted_s, code, reason)"


class QuarantineTable:
    """For the writing thread, within its transactions; all methods raise ``sqlite3.Error``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def count(self) -> int:
        """Number of quarantined messages."""
        return int(self._connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])

    def size_bytes(self) -> int:
        """Size of their payloads."""
        question = "SELECT coalesce(sum(length(payload)), 0) FROM quarantine"
        return int(self._connection.execute(question).fetchone()[0])

    def move(self, why: Mapping[int, tuple[str, str]]) -> int:
        """Move messages here, with code and reason by number; returns the bytes of their payloads."""
        last = self._last_number()
        self._connection.executemany(
            f"{_INSERT} SELECT id, topic, payload, accepted_s, ?, ? FROM messages WHERE number = ?",  # noqa: S608 - a constant
            [(code, reason, number) for number, (code, reason) in why.items()],
        )
        self._connection.executemany("DELETE FROM messages WHERE number = ?", [(number,) for number in why])
        return self._size_after(last)

    def add(self, rows: Sequence[QuarantinedRow]) -> int:
        """Add rows from another file; returns the bytes of their payloads."""
        last = self._last_number()
        self._connection.executemany(
            f"{_INSERT} VALUES (?, ?, ?, ?, ?, ?)", [tuple(storable(value) for value in row) for row in rows]
        )
        return self._size_after(last)

    def evict(self, excess_bytes: int) -> tuple[int, int]:
        """Delete the oldest messages until ``excess_bytes`` are freed; returns the number of messages and bytes."""
        evicted: list[tuple[int]] = []
        evicted_bytes = 0
        if excess_bytes > 0:
            for number, size in self._connection.execute(
                "SELECT number, length(payload) FROM quarantine ORDER BY number"
            ):
                evicted.append((number,))
                evicted_bytes += size or 0
                if evicted_bytes >= excess_bytes:
                    break
        self._connection.executemany("DELETE FROM quarantine WHERE number = ?", evicted)
        return len(evicted), evicted_bytes

    def _last_number(self) -> int:
        return int(self._connection.execute("SELECT coalesce(max(number), 0) FROM quarantine").fetchone()[0])

    def _size_after(self, number: int) -> int:
        question = "SELECT coalesce(sum(length(payload)), 0) FROM quarantine WHERE number > ?"
        return int(self._connection.execute(question, (number,)).fetchone()[0])
