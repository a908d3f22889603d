"""Feeds systemd's watchdog while the agent makes progress."""

from __future__ import annotations

import logging
import time

from edge_agent.agent import Agent
from edge_agent.daemon.notify import Notifier

log = logging.getLogger("edge_agent")

STATUS_S = 5.0
"""Time between two status lines."""


class WatchdogFeeder:
    """Feeds the watchdog and keeps the status line up to date. Belongs to the main thread."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._interval_s = notifier.watchdog_s / 3 if notifier.watchdog_s is not None else float("inf")
        self._fed_at = float("-inf")
        self._status_at = time.monotonic()
        self._stuck: tuple[str, ...] = ()

    def check(self, agent: Agent) -> None:
        """Feed the watchdog unless a part of the agent is stuck; then systemd has to restart the process."""
        stuck = agent.stuck
        if stuck and stuck != self._stuck:
            log.critical("no progress in %s; the watchdog is no longer fed", ", ".join(stuck))
        self._stuck = stuck
        if not stuck:
            self.feed()
        if time.monotonic() - self._status_at >= STATUS_S:
            self._status_at = time.monotonic()
            self._notifier.status(f"no progress in {', '.join(stuck)}" if stuck else agent.summary)

    def feed(self) -> None:
        """Feed the watchdog, as often as it needs."""
        now = time.monotonic()
        if now - self._fed_at >= self._interval_s:
            self._fed_at = now
            self._notifier.alive()
