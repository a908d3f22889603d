"""Opens the database, and says in one error what is wrong with it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from edge_agent.collector.column_types import dump_json
from edge_agent.collector.settings import DatabaseSettings
from edge_agent.errors import (
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseRefused,
    DatabaseUnreachable,
)

_BUSY_S = 30
"""SQLite waits this long for another process."""
_BUSY_PAUSE_S = 0.02

# A server that vanished without closing the connection is noticed within half a minute. A statement that waits for a
# lock gives up, so that a reader that holds the lock cannot block the collector for ever.
_POSTGRESQL = {
    "application_name": "edge-agent-collector",
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 30_000,
    "options": "-c lock_timeout=10s -c timezone=UTC",
}

_BY_STATE = (
    ("53100", DatabaseFull, "its disk is full"),
    ("53", DatabaseBusy, "it has no connection or no memory left"),
    ("55P03", DatabaseBusy, "another process has locked its tables"),
    ("40", DatabaseBusy, "another process was in the way"),
    ("57P", DatabaseUnreachable, "it starts or stops"),
    ("08", DatabaseUnreachable, "the connection was lost"),
    ("28", DatabaseRefused, "it does not accept the user or the password"),
    ("3D000", DatabaseRefused, "it has no database of that name"),
    ("42501", DatabaseRefused, "the user may not do what the collector has to do"),
    ("25006", DatabaseRefused, "it is read-only"),
)
"""Errors by PostgreSQL's SQLSTATE, or the beginning of one."""

_BY_CODE = {
    sqlite3.SQLITE_FULL: (DatabaseFull, "the disk is full"),
    sqlite3.SQLITE_BUSY: (DatabaseBusy, "another process has locked the file"),
    sqlite3.SQLITE_LOCKED: (DatabaseBusy, "another process has locked the file"),
    sqlite3.SQLITE_CANTOPEN: (DatabaseUnreachable, "the file cannot be opened, or its folder is missing"),
    sqlite3.SQLITE_READONLY: (DatabaseRefused, "the file may not be written"),
    sqlite3.SQLITE_PERM: (DatabaseRefused, "the file may not be opened"),
}
"""Errors by SQLite's primary result code."""

_ROW_STATES = ("22", "54", "23502", "23514")
"""PostgreSQL's states for a value that does not fit, and a row that is too large or breaks a rule of its table."""


def open_database(settings: DatabaseSettings) -> Engine:
    """An engine; nothing is connected yet. Raises ``ConfigError`` if the password's file cannot be read."""
    url = settings.sqlalchemy_url()
    # Parameters come from devices, and do not belong in a log.
    common: dict[str, Any] = {"hide_parameters": True, "json_serializer": dump_json}
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": _BUSY_S}, **common)
        event.listen(engine, "connect", _set_up_sqlite)
        return engine
    return create_engine(url, connect_args=_POSTGRESQL, pool_size=2, max_overflow=2, pool_pre_ping=True, **common)


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    _keep_write_ahead_log(connection)
    # Messages acknowledged to the broker must survive a power cut, so each commit is synced.
    connection.execute("PRAGMA synchronous = FULL")


def _keep_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Let readers and the writer work at the same time, whoever opens the file first."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # For this statement SQLite does not wait for another process, whatever the time-out.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_BUSY_PAUSE_S)
        else:
            return


def shown_url(engine: Engine) -> str:
    """The database's address, without its password."""
    return engine.url.render_as_string(hide_password=True)


def is_fault_of_a_row(error: Exception) -> bool:
    """Whether the database works and refused only a value, so that other rows can be written."""
    if not isinstance(error, DBAPIError):
        # The driver itself could not convert the values.
        return isinstance(error, StatementError | ValueError | OverflowError)
    if error.connection_invalidated:
        return False
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return isinstance(cause, sqlite3.DataError | sqlite3.IntegrityError | sqlite3.InterfaceError) or code in {
            sqlite3.SQLITE_TOOBIG,
            sqlite3.SQLITE_MISMATCH,
        }
    state = getattr(cause, "sqlstate", None)
    # Without a state the driver refused the value before anything was sent.
    return state.startswith(_ROW_STATES) if state else type(cause).__name__ == "DataError"


def explain_database_error(error: SQLAlchemyError, engine: Engine) -> DatabaseError:
    """The error that says what is wrong with the database, without passwords and values."""
    where = shown_url(engine)
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        kind, what = _BY_CODE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, (DatabaseError, ""))
        return kind(f"{where}: {what or _first_line(cause)}.")
    state = getattr(cause, "sqlstate", None)
    if state is None:
        said = _first_line(cause or error)
        # Before there is a connection, libpq gives only a text.
        refused = "authentication failed" in said or "no password supplied" in said or "does not exist" in said
        return (DatabaseRefused if refused else DatabaseUnreachable)(f"{where}: {said}.")
    for beginning, kind, what in _BY_STATE:
        if state.startswith(beginning):
            return kind(f"{where}: {what} ({_first_line(cause)}).")
    return DatabaseError(f"{where}: {_first_line(cause)} ({state}).")


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "it gave no reason"


@contextmanager
def database_errors(engine: Engine) -> Iterator[None]:
    """Turn SQLAlchemy's errors into the project's own."""
    try:
        yield
    except SQLAlchemyError as error:
        raise explain_database_error(error, engine) from error
