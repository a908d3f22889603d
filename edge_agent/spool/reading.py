"""Opens a spool's file read-only, whether the agent is running or not, and explains why that fails."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge_agent.errors import SpoolCorrupt, SpoolError
from edge_agent.spool.file import is_corrupt, primary_code
from edge_agent.spool.rows import read_text

_ASK_FOR_A_SPOOL = "Give the file of a spool, such as spool.db."
_NO_INDEX = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
_NOT_A_SPOOL = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


@contextlib.contextmanager
def open_for_reading(path: Path, *, log_needed: bool = True) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write to the spool's file. An unreadable log is ignored unless ``log_needed``.

    Raises ``SpoolError`` if there is no such file, if it is not a spool, or if it may not be read; ``SpoolCorrupt`` if
    it is too damaged to be recognised.
    """
    with contextlib.closing(_connect(path, log_needed=log_needed)) as connection:
        yield connection


def explain_unreadable(path: Path, error: sqlite3.Error) -> SpoolError:
    """The meaning of an SQLite error: not a spool, damaged, or unreadable for another reason."""
    code = primary_code(error)
    if code in _NOT_A_SPOOL or "no such table" in str(error):
        return SpoolError(f"{path} is not a spool.", remedy=_ASK_FOR_A_SPOOL)
    if is_corrupt(error):
        return SpoolCorrupt(
            f"{path} is damaged: {error}.", remedy="The agent renames a damaged file when it starts, and keeps it."
        )
    return _unreadable(path, str(error))


def _connect(path: Path, *, log_needed: bool) -> sqlite3.Connection:
    try:
        if not path.exists():
            raise SpoolError(
                f"There is no spool at {path}.", remedy="Check the path, or state.folder in the configuration."
            )
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
        # SQLite has to write an index of the log. If it may not, the file can be read only without a log.
        if primary_code(error) not in _NO_INDEX or (has_log and log_needed):
            raise explain_unreadable(path, error) from error
    try:
        return _open(path, "immutable=1")
    except sqlite3.Error as error:
        raise explain_unreadable(path, error) from error


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


def _unreadable(path: Path, reason: str) -> SpoolError:
    return SpoolError(
        f"{path} cannot be read: {reason}.",
        remedy="Run it as the agent's user ('sudo -u leukoscope') or as root; a copy needs the '-wal' file beside it.",
    )
