"""The SQLite file of the durable spool: its schema, writing, reading and checks."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import SpoolBusy, SpoolCorrupt, SpoolError, SpoolNewer
from edge_agent.spool.base import Message, StateEntries
from edge_agent.spool.place import Place, explain_unusable
from edge_agent.spool.quarantine_table import QUARANTINE_SCHEMA, QuarantineTable
from edge_agent.spool.rows import (
    COLUMNS,
    Counters,
    DamagedRow,
    QuarantinedRow,
    Row,
    read_counters,
    read_quarantine,
    read_row,
    read_rows,
    read_text,
    readable_entries,
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

_QUESTIONS = (
    f"SELECT {COLUMNS} FROM messages LIMIT 0",  # noqa: S608 - a constant
    "SELECT number, key, value FROM notes LIMIT 0",
    "SELECT name, value FROM counters LIMIT 0",
    "SELECT number, id, topic, payload, accepted_s, code, reason FROM quarantine LIMIT 0",
)
"""Queries that must work, even without results; else the file belongs to another program."""

MAX_NUMBER = 2**62
"""Highest number of a message."""

BUSY_TIMEOUT_MS = 5000

CHECKPOINT_PAGES = 256
"""About 1 MiB of log; beyond that it is copied into the file."""

_BUSY_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
CORRUPT_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a transaction."""

    numbers: list[int]
    """Numbers of the new messages."""
    evicted_count: int
    """Messages deleted from the quarantine to make room."""


@dataclass(slots=True)
class Change:
    """The changes of one transaction."""

    appended: Sequence[tuple[Message, float]] = ()
    removed: Sequence[int] = ()
    quarantined: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Code and reason by message number."""
    salvaged: Sequence[QuarantinedRow] = ()
    """Quarantined rows from another file."""
    max_quarantined_bytes: int = 2**62
    state_entries: StateEntries = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a file."""

    counters: Counters
    stored_count: int
    """Number of message rows, readable or not."""
    stored_bytes: int
    """Size of their payloads."""
    first_number: int
    last_number: int
    """Number of the newest message there has ever been."""
    quarantined_count: int
    state_entries: dict[str, bytes]


class SpoolFile:
    """One open file. Writing belongs to one thread; reading has a connection of its own, for another thread.

    The journal is a write-ahead log with ``synchronous=FULL``: a transaction is on the disk when ``write`` returns. It
    costs one fsync; a checkpoint costs two more.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises ``SpoolCorrupt`` if it is damaged or not a spool, ``SpoolNewer``, ``SpoolBusy`` if another program has
        locked it, ``SpoolError`` if it cannot be opened.
        """
        self._path = path
        # SQLite follows links, and creates the log beside the target.
        self._log = path.resolve().with_name(path.resolve().name + "-wal")
        self.commits = 0
        self.checkpoints = 0
        connections = contextlib.ExitStack()
        try:
            self._writer = self._connect(connections)
            _prepare(self._writer)
            self._reader = self._connect(connections)
            self._place = Place(path)
            self._quarantine = QuarantineTable(self._writer)
        except sqlite3.Error as error:
            connections.close()
            if is_corrupt(error):
                raise SpoolCorrupt(f"{path} is damaged: {error}.") from error
            if primary_code(error) in _BUSY_CODES:
                raise SpoolBusy(f"Another program has locked {path}.") from error
            raise SpoolError(f"{path} cannot be opened: {error}.") from error
        except OSError as error:
            connections.close()
            raise SpoolError(f"{path} cannot be opened: {error.strerror}.") from error
        except SpoolError:
            connections.close()
            raise
        self._log_place: Place | None = None
        self._quarantined_bytes: int | None = None

    def _connect(self, connections: contextlib.ExitStack) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connections.callback(connection.close)
        connection.text_factory = read_text
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA synchronous=FULL")
        # In KiB. Everything is read once; SQLite's default of 2 MiB per connection would hold pages that are not needed
        # again.
        connection.execute("PRAGMA cache_size=-256")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        return connection

    def write(self, change: Change, counters: Counters) -> Written:
        """Commit a change and ``counters``; messages deleted from the quarantine count as dropped.

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
            evicted_count, quarantined_bytes = self._write_quarantine(change)
            counters.dropped += evicted_count
            counters.quarantined -= evicted_count
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
            # A full disk or a damaged file may have caused a rollback already.
            with contextlib.suppress(sqlite3.Error):
                writer.execute("ROLLBACK")
            raise
        self.commits += 1
        self._quarantined_bytes = quarantined_bytes
        return Written(numbers, evicted_count)

    def _write_quarantine(self, change: Change) -> tuple[int, int | None]:
        """Number of messages deleted to make room, and the size of the quarantine now, if known."""
        size = self._quarantined_bytes
        if not change.quarantined and not change.salvaged:
            return 0, size
        if size is None:
            # The whole table has to be read, once.
            size = self._quarantine.size_bytes()
        size += self._quarantine.move(change.quarantined) + self._quarantine.add(change.salvaged)
        evicted_count, evicted_bytes = self._quarantine.evict(size - change.max_quarantined_bytes)
        return evicted_count, size - evicted_bytes

    def check_place(self) -> None:
        """Raises ``SpoolMissing`` if the file or its log was deleted or replaced; ``SpoolError`` if that is unknown."""
        self._place.check()
        if self._log_place is not None:
            self._log_place.check()
        elif self.commits:
            try:
                self._log_place = Place(self._log)
            except FileNotFoundError:
                # Without a write-ahead log on this file system there is no such file.
                return
            except OSError as error:
                raise explain_unusable(self._path.parent, error) from error

    def salvage(self, until: int) -> tuple[list[Row | DamagedRow], list[QuarantinedRow]]:
        """Message rows up to number ``until``, and the quarantine, as far as they can be read.

        Works for a deleted file too, while it is open.
        """
        rows = [row for row in read_rows(self._writer) if row.number <= until]
        return sorted(rows, key=lambda row: row.number), list(read_quarantine(self._writer))

    def checkpoint_if_due(self) -> None:
        """Copy the log into the file once it has grown enough. Raises ``sqlite3.Error``."""
        with contextlib.suppress(OSError):
            if self._log.stat().st_size >= CHECKPOINT_PAGES * 4096:
                self.checkpoint()

    def checkpoint(self) -> None:
        """Copy the log into the file and empty it. Raises ``sqlite3.Error``."""
        self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.checkpoints += 1

    def next(self, after: int, until: int | None = None) -> Row | DamagedRow | None:
        """The first message whose number is above ``after`` and at most ``until``. Raises ``sqlite3.Error``."""
        rows = self._reader.execute(
            f"SELECT {COLUMNS} FROM messages WHERE number > ? AND number <= ? ORDER BY number LIMIT 1",  # noqa: S608 - constant
            (after, until if until is not None else MAX_NUMBER),
        ).fetchall()
        return read_row(rows[0]) if rows else None

    def oldest_first(self, *, in_flight: Iterable[int]) -> Iterator[tuple[int, int, float]]:
        """Number, size in bytes and time of acceptance of each message not in flight. For the writing thread."""
        excluded = set(in_flight)
        after = 0
        while rows := self._writer.execute(
            "SELECT number, length(payload), accepted_s FROM messages WHERE number > ? ORDER BY number LIMIT 20",
            (after,),
        ).fetchall():
            for number, size, accepted_s in rows:
                if number not in excluded:
                    # In a damaged row they may be of any type.
                    yield number, size or 0, accepted_s if isinstance(accepted_s, int | float) else math.inf
            after = rows[-1][0]

    def contents(self) -> Contents:
        """All that is read when the file is opened. Raises ``sqlite3.Error``."""
        count, size, first, last = self._writer.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0), coalesce(min(number), 0), coalesce(max(number), 0) "
            "FROM messages"
        ).fetchone()
        # Numbers of deleted messages are not used again; but SQLite's own record of them may be damaged.
        for (seq,) in self._writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'"):
            last = max(last, seq) if isinstance(seq, int) else last
        return Contents(
            counters=self.counters(),
            stored_count=int(count),
            stored_bytes=int(size),
            first_number=int(first),
            last_number=int(last),
            quarantined_count=self._quarantine.count(),
            state_entries=readable_entries(self._writer.execute("SELECT key, value FROM notes ORDER BY number")),
        )

    def counters(self) -> Counters:
        """The counters as last committed. Raises ``sqlite3.Error``."""
        return read_counters(self._writer)

    def close(self) -> None:
        """Close the file. SQLite copies the log into it if that is possible."""
        self._reader.close()
        self._writer.close()


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether an error means that the file itself is damaged."""
    return primary_code(error) in CORRUPT_CODES


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary code of an error; 0 for an error of Python's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


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
    if version > SCHEMA_VERSION:
        raise SpoolNewer(f"The spool has version {version}; this release knows version {SCHEMA_VERSION}.")
    connection.executescript(_SCHEMA + QUARANTINE_SCHEMA)
    if version != SCHEMA_VERSION:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    try:
        for question in _QUESTIONS:
            connection.execute(question).fetchall()
    except sqlite3.OperationalError as error:
        if "no such" not in str(error):
            raise
        raise SpoolCorrupt(f"The file is not a spool: {error}.") from error
    found = [row[0] for row in connection.execute("PRAGMA quick_check(3)").fetchall()]
    if found != ["ok"]:
        raise SpoolCorrupt(f"The spool is damaged: {'; '.join(found)}.")
