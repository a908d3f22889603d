"""What can be done with a spool's file from beside the agent: look into it, and empty it while no agent has it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge_agent.errors import DiskFull, SpoolCorrupt, SpoolError
from edge_agent.spool.file import Change, SpoolFile, is_corrupt
from edge_agent.spool.folder import FILE, lock_folder, no_room
from edge_agent.spool.rows import read_counters, read_text

_ASK_FOR_A_SPOOL = "Give the file of a spool, such as spool.db."
_NO_INDEX = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
_NOT_A_SPOOL = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}

Figures = dict[str, int | float | list[str] | None]


@contextlib.contextmanager
def open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write to the spool's file.

    Raises ``SpoolError`` if there is no such file, if it is not a spool, or if it may not be read; ``SpoolCorrupt`` if
    it is too damaged for that to be told.
    """
    with contextlib.closing(_connect(path)) as connection:
        yield connection


def summarize(path: Path) -> Figures:
    """What waits in a spool's file and what became of the other messages, by name. Raises ``SpoolError``."""
    with open_for_reading(path) as connection:
        try:
            counters = read_counters(connection)
            waiting, size, oldest = connection.execute(
                "SELECT count(*), coalesce(sum(length(payload)), 0), min(accepted_s) FROM messages"
            ).fetchone()
        except sqlite3.Error as error:
            raise _explain(path, error) from error
    age_s = round(max(0.0, counters.clock_s - oldest), 1) if isinstance(oldest, int | float) else None
    return {
        "waiting_count": waiting,
        "stored_bytes": size,
        "oldest_age_s": age_s,
        "accepted_count": counters.accepted,
        "acknowledged_count": counters.acknowledged,
        "refused_count": counters.refused,
        "dropped_count": counters.dropped,
        "quarantined_count": counters.quarantined,
        "set_aside": sorted(
            each.name for pattern in ("spool.corrupt-*.db", "spool.newer-*.db") for each in path.parent.glob(pattern)
        ),
    }


def purge(folder: Path) -> int:
    """Delete all that waits in a spool that no agent has open; how many, which are counted as dropped.

    Raises ``SpoolBusy``, ``SpoolError``, ``DiskFull``.
    """
    path = folder / FILE
    with open_for_reading(path):
        pass
    with lock_folder(folder), contextlib.closing(SpoolFile(path)) as file:
        try:
            numbers = [number for number, _, _ in file.oldest_first(in_flight=())]
            counters = file.counters()
            counters.dropped += len(numbers)
            file.write(Change(removed=numbers), counters)
        except sqlite3.Error as error:
            if not is_corrupt(error) and no_room(folder):
                raise DiskFull(f"{path} cannot be written: {error}.") from error
            raise _explain(path, error) from error
    return len(numbers)


def _connect(path: Path) -> sqlite3.Connection:
    try:
        if not path.exists():
            raise SpoolError(f"There is no spool at {path}.", remedy="Check state.folder in the configuration.")
        if not path.is_file():
            raise SpoolError(f"{path} is not a file.", remedy=_ASK_FOR_A_SPOOL)
        with path.open("rb"):
            pass
        log = path.with_name(path.name + "-wal")
        has_log = log.exists() and log.stat().st_size > 0
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from error
    try:
        return _open(path, "mode=ro")
    except sqlite3.Error as error:
        # SQLite wants to write an index of the log. Without a log it can do without, where it may not.
        if (error.sqlite_errorcode & 0xFF) not in _NO_INDEX or has_log:
            raise _explain(path, error) from error
    try:
        return _open(path, "immutable=1")
    except sqlite3.Error as error:
        raise _explain(path, error) from error


def _open(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        connection.text_factory = read_text
        connection.execute("PRAGMA busy_timeout=5000")
        connection.execute("SELECT 1 FROM messages LIMIT 0").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _explain(path: Path, error: sqlite3.Error) -> SpoolError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _NOT_A_SPOOL or "no such table" in str(error):
        return SpoolError(f"{path} is not a spool.", remedy=_ASK_FOR_A_SPOOL)
    if is_corrupt(error):
        return SpoolCorrupt(
            f"{path} is damaged: {error}.", remedy="The agent sets a damaged file aside when it starts, and keeps it."
        )
    return _unreadable(path, str(error))


def _unreadable(path: Path, reason: str) -> SpoolError:
    return SpoolError(
        f"{path} cannot be read: {reason}.",
        remedy="Use the account of the agent ('sudo -u leukoscope'), or root; a copy needs the '-wal' file beside it.",
    )
