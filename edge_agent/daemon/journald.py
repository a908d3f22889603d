"""The service's log: to journald with fields, else to standard error."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from edge_agent.errors import EdgeAgentError

_EXTRA_FIELDS = ("code", "check", "camera")
"""Attributes of a log record (``extra=``) that become fields of the journal, as ``LEUKOSCOPE_CODE`` and so on."""


def make_log_handler(environment: Mapping[str, str] = os.environ) -> logging.Handler:
    """A handler that writes to the journal with fields, if standard error goes there; else to standard error."""
    if _stderr_is_journal(environment):
        try:
            return _journal_handler()
        except ImportError:
            # Lines on standard error reach the journal too, but without fields.
            return _line_handler("%(levelname)-7s %(message)s")
    return _line_handler("%(asctime)s %(levelname)-7s %(message)s")


def _line_handler(form: str) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(form))
    return handler


def _stderr_is_journal(environment: Mapping[str, str]) -> bool:
    """Whether standard error goes to the journal: its device and inode are in the environment (systemd.exec(5))."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _journal_handler() -> logging.Handler:
    from systemd import journal

    class Handler(logging.Handler):
        """One entry per record; systemd-python's own handler would write every attribute of it."""

        def emit(self, record: logging.LogRecord) -> None:
            try:
                journal.send(self.format(record), **journal_fields(record))
            except Exception:  # noqa: BLE001 - like logging itself: a log that cannot be written stops nothing
                self.handleError(record)

    handler = Handler()
    # Level and logger are fields; without a format, 'logging' would write them into the message.
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def journal_fields(record: logging.LogRecord) -> dict[str, Any]:
    """An entry's fields (systemd.journal-fields(7)); the agent's own are prefixed, and left out without a value."""
    # 3 is an error, 4 a warning, 6 information, 7 for developers (syslog(3)).
    levels = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    fields: dict[str, Any] = {
        "PRIORITY": next((priority for level, priority in levels if record.levelno >= level), 7),
        "SYSLOG_IDENTIFIER": "leukoscope",
        "LOGGER": record.name,
        "THREAD_NAME": record.threadName,
        "CODE_FILE": record.pathname,
        "CODE_LINE": record.lineno,
        "CODE_FUNC": record.funcName,
    }
    for name in _EXTRA_FIELDS:
        value = getattr(record, name, None)
        if value is not None:
            fields[f"LEUKOSCOPE_{name.upper()}"] = value
    # Errors are logged as arguments, so their code needs no ``extra``.
    codes = [argument.code for argument in _arguments(record) if isinstance(argument, EdgeAgentError)]
    if codes:
        fields.setdefault("LEUKOSCOPE_CODE", codes[0])
    return fields


def _arguments(record: logging.LogRecord) -> tuple[object, ...]:
    return record.args if isinstance(record.args, tuple) else ()
