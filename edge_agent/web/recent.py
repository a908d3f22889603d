"""The readings that the microscope page can show."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import Result

KEPT_COUNT = 8
"""A browser requests a picture after the result; a few more readings may have been added by then."""


@dataclass(frozen=True, slots=True)
class ShownReading:
    """A reading and its message."""

    result: Result
    reading: Reading


class RecentReadings:
    """The last few readings by their id. Added to by the analysis threads, read by the server's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: OrderedDict[UUID, ShownReading] = OrderedDict()

    def add(self, result: Result, reading: Reading) -> None:
        """Make this the latest; the oldest is forgotten."""
        with self._lock:
            self._by_id[result.id] = ShownReading(result, reading)
            while len(self._by_id) > KEPT_COUNT:
                self._by_id.popitem(last=False)

    def latest(self) -> ShownReading | None:
        """The reading added last; None before the first."""
        with self._lock:
            return next(reversed(self._by_id.values()), None)

    def find(self, reading_id: UUID) -> ShownReading | None:
        """The reading with this id; None where it is not among the last few."""
        with self._lock:
            return self._by_id.get(reading_id)
