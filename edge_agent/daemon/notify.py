"""Reports the service's state to systemd; does nothing without systemd."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import Protocol

log = logging.getLogger(__name__)


class Notifier(Protocol):
    """Reports this process's state to the service manager (sd_notify(3))."""

    watchdog_s: float | None
    """After this time without ``alive`` the process is killed and restarted; None without a watchdog."""

    def ready(self, status: str) -> None:
        """The start, or a reload, is over."""
        ...

    def reloading(self) -> None:
        """The configuration is being read again."""
        ...

    def stopping(self) -> None:
        """The process is stopping."""
        ...

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        ...

    def alive(self) -> None:
        """Feed the watchdog."""
        ...


class NullNotifier:
    """For a process without a service manager."""

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
        from systemd.daemon import notify

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
    """A notifier for systemd if systemd listens and can be reached, else the one that does nothing."""
    if "NOTIFY_SOCKET" not in environment:
        return NullNotifier()
    try:
        return SystemdNotifier(environment)
    except ImportError as error:
        log.warning("systemd expects notifications, but systemd-python is missing: %s", error)
        return NullNotifier()
