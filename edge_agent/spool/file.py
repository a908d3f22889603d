"""The SQLite file behind the durable spool: what is in it, and how it is written, read and checked."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import SpoolCorrupt, SpoolError
from edge_agent.spool.base import Message, StateEntries
from edge_agent.spool.rows import (
    COLUMNS,
    Counters,
    DamagedRow,
    QuarantinedRow,
    Row,
    read_counters,
    read_row,
    read_text,
    readable_entries,
    storable,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    accepted_s REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS notes (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    value BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (
    name TEXT PRIMARY KEY,
    value REAL NOT NULL
) WITHOUT ROWID;
"""
SCHEMA_VERSION = 1

# Beside the tables of version 1, which an older agent goes on using without knowing this one. The columns have no
# types, so that damaged values lie here as they are.
_QUARANTINE = """
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

CHECKPOINT_PAGES = 256
"""About 1 MiB of log, then it is copied into the file."""

CORRUPT_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction came to."""

    numbers: list[int]
    """Of the new messages."""
    evicted_count: int
    """Messages that left the quarantine for room."""


@dataclass(slots=True)
class Change:
    """What one transaction does."""

    appended: Sequence[tuple[Message, float]] = ()
    removed: Sequence[int] = ()
    quarantined: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Code and reason by the number of a message in the file."""
    salvaged: Sequence[QuarantinedRow] = ()
    """Rows for the quarantine from another file."""
    max_quarantined_bytes: int = 2**62
    state_entries: StateEntries = field(default_factory=dict)


class SpoolFile:
    """One open file. Writing belongs to one thread; reading has a connection of its own, for another thread.

    The journal is a write-ahead log with ``synchronous=FULL``: a transaction is on the medium when ``write`` returns.
    It costs one fsync; each checkpoint two more.
    """

    def __init__(self, path: Path) -> None:
        """Open or make. Raises ``SpoolCorrupt`` if the content is damaged, ``SpoolError`` if it cannot be opened."""
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self.commits = 0
        self.checkpoints = 0
        connections = contextlib.ExitStack()
        try:
            self._writer = self._connect(connections)
            _prepare(self._writer)
            self._reader = self._connect(connections)
        except sqlite3.Error as error:
            connections.close()
            if is_corrupt(error):
                raise SpoolCorrupt(f"{path} is damaged: {error}.") from error
            raise SpoolError(f"{path} cannot be opened: {error}.") from error
        except SpoolError:
            connections.close()
            raise

    def _connect(self, connections: contextlib.ExitStack) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connections.callback(connection.close)
        connection.text_factory = read_text
        connection.execute("PRAGMA busy_timeout=5000")
        connection.execute("PRAGMA synchronous=FULL")
        # In KiB. What is read is read once; SQLite's own 2 MiB per connection would fill with pages nobody asks for.
        connection.execute("PRAGMA cache_size=-256")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        return connection

    def write(self, change: Change, counters: Counters) -> Written:
        """Commit a change and ``counters``, in which messages that left the quarantine have become dropped ones.

        Raises ``sqlite3.Error``, and then nothing has changed.
        """
        numbers = []
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        try:
            for message, accepted_s in change.appended:
                cursor = writer.execute(
                    "INSERT INTO messages (id, topic, payload, accepted_s) VALUES (?, ?, ?, ?)",
                    (message.id.bytes, message.topic, message.payload, accepted_s),
                )
                numbers.append(int(cursor.lastrowid or 0))
            writer.executemany("DELETE FROM messages WHERE number = ?", ((number,) for number in change.removed))
            evicted = _write_quarantine(writer, change)
            counters.dropped += evicted
            counters.quarantined -= evicted
            for key, value in change.state_entries.items():
                if value is None:
                    writer.execute("DELETE FROM notes WHERE key = ?", (key,))
                else:
                    writer.execute(
                        "INSERT INTO notes (key, value) VALUES (?, ?) "
                        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                        (key, value),
                    )
            _write_counters(writer, counters)
            writer.execute("COMMIT")
        except sqlite3.Error:
            # A full disk or a broken file may have rolled back already.
            with contextlib.suppress(sqlite3.Error):
                writer.execute("ROLLBACK")
            raise
        self.commits += 1
        return Written(numbers, evicted)

    def checkpoint_if_due(self) -> None:
        """Copy the log into the file once it has grown enough. Raises ``sqlite3.Error``."""
        if self._log.exists() and self._log.stat().st_size >= CHECKPOINT_PAGES * 4096:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Copy the log into the file and empty it. Raises ``sqlite3.Error``."""
        self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.checkpoints += 1

    def next(self, after: int, until: int | None = None) -> Row | DamagedRow | None:
        """The first message whose number is above ``after`` and at most ``until``. Raises ``sqlite3.Error``."""
        rows = self._reader.execute(
            f"SELECT {COLUMNS} FROM messages WHERE number > ? AND number <= ? ORDER BY number LIMIT 1",  # noqa: S608 - constant
            (after, until if until is not None else 2**62),
        ).fetchall()
        return read_row(rows[0]) if rows else None

    def oldest_first(self, *, in_flight: Iterable[int]) -> Iterator[tuple[int, int, float]]:
        """Number, size in bytes and acceptance of each message not in flight. For the writing thread."""
        excluded = set(in_flight)
        after = 0
        while rows := self._writer.execute(
            "SELECT number, length(payload), accepted_s FROM messages WHERE number > ? ORDER BY number LIMIT 20",
            (after,),
        ).fetchall():
            for number, size, accepted_s in rows:
                if number not in excluded:
                    yield number, size, accepted_s
            after = rows[-1][0]

    def last_number(self) -> int:
        """Number of the newest message that ever was."""
        rows = self._writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchall()
        return int(rows[0][0]) if rows else 0

    def totals(self) -> tuple[int, int]:
        """Messages in the file, and bytes of their payloads."""
        question = "SELECT count(*), coalesce(sum(length(payload)), 0) FROM messages"
        count, size = self._writer.execute(question).fetchone()
        return int(count), int(size)

    def counters(self) -> Counters:
        """As last committed."""
        return read_counters(self._writer)

    def state_entries(self) -> dict[str, bytes]:
        """All state entries, in the order in which their keys first came."""
        return readable_entries(self._writer.execute("SELECT key, value FROM notes ORDER BY number"))

    def close(self) -> None:
        """Let go. The log is copied into the file by SQLite, where that is possible."""
        self._reader.close()
        self._writer.close()


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is damaged."""
    # The low byte is the code, the rest tells its variety.
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in CORRUPT_CODES


def _write_quarantine(connection: sqlite3.Connection, change: Change) -> int:
    """Move and add rows; how many had to go for room."""
    connection.executemany(
        "INSERT INTO quarantine (id, topic, payload, accepted_s, code, reason) "
        "SELECT id, topic, payload, accepted_s, ?, ? FROM messages WHERE number = ?",
        [(code, reason, number) for number, (code, reason) in change.quarantined.items()],
    )
    connection.executemany("DELETE FROM messages WHERE number = ?", [(number,) for number in change.quarantined])
    connection.executemany(
        "INSERT INTO quarantine (id, topic, payload, accepted_s, code, reason) VALUES (?, ?, ?, ?, ?, ?)",
        [tuple(storable(value) for value in row) for row in change.salvaged],
    )
    if not change.quarantined and not change.salvaged:
        return 0
    rows = connection.execute("SELECT number, length(payload) FROM quarantine ORDER BY number").fetchall()
    excess = sum(size or 0 for _, size in rows) - change.max_quarantined_bytes
    evicted = []
    for number, size in rows:
        if excess <= 0:
            break
        evicted.append((number,))
        excess -= size or 0
    connection.executemany("DELETE FROM quarantine WHERE number = ?", evicted)
    return len(evicted)


def _write_counters(connection: sqlite3.Connection, counters: Counters) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)",
        [
            ("accepted", counters.accepted),
            ("acknowledged", counters.acknowledged),
            ("refused", counters.refused),
            ("dropped", counters.dropped),
            ("quarantined", counters.quarantined),
            ("clock_s", counters.clock_s),
        ],
    )


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(f"{_SCHEMA} PRAGMA user_version={SCHEMA_VERSION};")
    elif version != SCHEMA_VERSION:
        raise SpoolError(
            f"the spool has version {version}, this agent knows {SCHEMA_VERSION}.",
            remedy="Update the agent, or export the spool with the agent that wrote it.",
        )
    connection.executescript(_QUARANTINE)
    found = [row[0] for row in connection.execute("PRAGMA quick_check(3)").fetchall()]
    if found != ["ok"]:
        raise SpoolCorrupt(f"the spool is damaged: {'; '.join(found)}.")
