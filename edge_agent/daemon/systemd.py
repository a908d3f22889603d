"""What a service tells systemd, and where its log goes; nothing of either where there is no systemd."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from edge_agent.errors import EdgeAgentError

log = logging.getLogger(__name__)

_PRIORITY_FIELDS = ("code", "check", "camera")
"""Attributes of a log record (``extra=``) that become fields of the journal, as ``LEUKOSCOPE_CODE`` and so on."""


class Notifier(Protocol):
    """Tells whoever started this process how it is doing (sd_notify(3))."""

    watchdog_s: float | None
    """After so long without ``alive`` the process is killed and started anew; None: nobody watches."""

    def ready(self, status: str) -> None:
        """The start, or a reload, is over."""
        ...

    def reloading(self) -> None:
        """The configuration is being read again."""
        ...

    def stopping(self) -> None:
        """The end has begun."""
        ...

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        ...

    def alive(self) -> None:
        """Feed the watchdog."""
        ...


class NullNotifier:
    """Nobody listens."""

    watchdog_s: float | None = None

    def ready(self, status: str) -> None:
        """Nothing."""

    def reloading(self) -> None:
        """Nothing."""

    def stopping(self) -> None:
        """Nothing."""

    def status(self, status: str) -> None:
        """Nothing."""

    def alive(self) -> None:
        """Nothing."""


class SystemdNotifier:
    """Through systemd-python."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Raises ``ImportError`` where systemd-python is not installed."""
        from systemd.daemon import notify  # noqa: PLC0415 - the distribution's package; most machines have none

        self._notify = notify
        microseconds = environment.get("WATCHDOG_USEC", "")
        meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s: float | None = int(microseconds) / 1e6 if meant and microseconds.isdigit() else None

    def ready(self, status: str) -> None:
        """READY=1."""
        self._notify(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """RELOADING=1, with the time that systemd compares with that of its request."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """STOPPING=1."""
        self._notify("STOPPING=1\nSTATUS=stopping")

    def status(self, status: str) -> None:
        """STATUS=..."""
        self._notify(f"STATUS={status}")

    def alive(self) -> None:
        """WATCHDOG=1."""
        self._notify("WATCHDOG=1")


def make_notifier(environment: Mapping[str, str] = os.environ) -> Notifier:
    """The one that fits: systemd's where it listens and can be spoken to."""
    if "NOTIFY_SOCKET" not in environment:
        return NullNotifier()
    try:
        return SystemdNotifier(environment)
    except ImportError as error:
        log.warning("systemd waits to be told, but systemd-python is missing: %s", error)
        return NullNotifier()


def make_log_handler(environment: Mapping[str, str] = os.environ) -> logging.Handler:
    """To the journal with structured fields where standard error goes there anyway, else lines on standard error."""
    if _stderr_is_journal(environment):
        try:
            return _journal_handler()
        except ImportError:
            # Lines reach the journal too, only without fields.
            return _line_handler("%(levelname)-7s %(message)s")
    return _line_handler("%(asctime)s %(levelname)-7s %(message)s")


def _line_handler(form: str) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(form))
    return handler


def _stderr_is_journal(environment: Mapping[str, str]) -> bool:
    """As systemd.exec(5) says to find out: the stream's device and inode are in the environment."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _journal_handler() -> logging.Handler:
    from systemd import journal  # noqa: PLC0415 - as above

    class Handler(logging.Handler):
        """One entry per record; systemd-python's own handler would write every attribute of it."""

        def emit(self, record: logging.LogRecord) -> None:
            try:
                journal.send(self.format(record), **journal_fields(record))
            except Exception:  # noqa: BLE001 - logging's way: a log that cannot be written stops nothing
                self.handleError(record)

    handler = Handler()
    # Level and logger are fields; 'logging' would write them into the message of a handler without a form.
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def journal_fields(record: logging.LogRecord) -> dict[str, Any]:
    """An entry's fields (systemd.journal-fields(7)); ours are prefixed, and there only where they are known."""
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
    for name in _PRIORITY_FIELDS:
        value = getattr(record, name, None)
        if value is not None:
            fields[f"LEUKOSCOPE_{name.upper()}"] = value
    # Errors are logged as themselves: their code needs no extra.
    codes = [argument.code for argument in _arguments(record) if isinstance(argument, EdgeAgentError)]
    if codes:
        fields.setdefault("LEUKOSCOPE_CODE", codes[0])
    return fields


def _arguments(record: logging.LogRecord) -> tuple[object, ...]:
    return record.args if isinstance(record.args, tuple) else ()
