"""Follows the computer's figures with the pace of the readings, and records when it slows down and when it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge_agent.contracts import EventKind, MachineMetrics
from edge_agent.errors import ReadingSlowed
from edge_agent.events.recorder import EventRecorder
from edge_agent.monitoring.pace import Pace
from edge_agent.monitoring.settings import PaceSettings


class PaceEvents:
    """One event for each time that the agent reads less often, and one when that ends. Any thread may use it."""

    def __init__(self, pace: Pace, events: EventRecorder, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """``pace`` belongs to this object from now on."""
        self._pace = pace
        self._events = events
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()

    @property
    def pause_s(self) -> float:
        """Least time from one reading to the next; 0 at full rate."""
        return self._pace.pause_s

    def use(self, settings: PaceSettings, interval_s: float) -> None:
        """Follow other settings from now on."""
        with self._lock:
            self._note(lambda: self._pace.use(settings, interval_s))

    def look(self, machine: MachineMetrics) -> ReadingSlowed | None:
        """Take the latest figures into account. Returns what a person is told; None at full rate."""
        with self._lock:
            self._note(lambda: self._pace.update(machine, self._monotonic_s()))
            return self._pace.problem

    def _note(self, change: Callable[[], None]) -> None:
        was_s = self._pace.pause_s
        change()
        is_s, cause = self._pace.pause_s, self._pace.cause
        if is_s and not was_s and cause is not None:
            self._events.record(
                EventKind.READING_SLOWED, f"Fields are read less often: {cause.message}", code=cause.code, pause_s=is_s
            )
        elif was_s and not is_s:
            self._events.record(EventKind.READING_AT_FULL_RATE, "Fields are read at full rate again.")
