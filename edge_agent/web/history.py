"""The readings that the microscope page can show."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from edge_agent.contracts import Label, Result
from edge_agent.web.pictures import ReadingPicture

KEPT_COUNT = 200
"""Readings that are kept: with their pictures some thirty megabytes if fields are rich in detail."""


@dataclass(frozen=True, slots=True, eq=False)
class ShownReading:
    """A reading's message, its picture, and the meanings of its models' labels."""

    result: Result
    picture: ReadingPicture | None
    labels: tuple[Label, ...]
    types: tuple[Label, ...] = ()
    """Meanings of the labels of the model that judged its cells; empty if none judged single cells."""
    recalled: bool = False
    """Whether the reading was made before the start of the device."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which readings are wanted; None accepts any value."""

    outcome: str | None = None
    reason: str | None = None
    """A reason, or the code of an error."""
    label: str | None = None
    specimen: str | None = None
    slide: int | None = None

    def fits(self, result: Result) -> bool:
        """Whether ``result`` is wanted."""
        code = result.reason or (None if result.error is None else result.error.code)
        place = result.specimen
        return (
            self.outcome in {None, result.outcome}
            and self.reason in {None, code}
            and self.label in {None, result.label}
            and self.specimen in {None, None if place is None else place.id}
            and self.slide in {None, None if place is None else place.slide}
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    shown: ShownReading
    """The reading, with a result that lacks its lists."""
    message: bytes
    """The whole result. As text its lists take a tenth of the memory that they take as objects."""

    def whole(self) -> ShownReading:
        return replace(self.shown, result=Result.model_validate_json(self.message))


class History:
    """The last readings by their id. Any thread may use it."""

    def __init__(self, kept_count: int = KEPT_COUNT) -> None:
        self._kept_count = kept_count
        self._lock = threading.Lock()
        self._by_id: OrderedDict[UUID, _Kept] = OrderedDict()

    def add(self, shown: ShownReading) -> None:
        """Make this the latest reading, and forget the oldest."""
        result = shown.result
        short = result.model_copy(update={"cells": (), "differs": ()})
        kept = _Kept(replace(shown, result=short), result.to_json())
        with self._lock:
            self._by_id[result.id] = kept
            while len(self._by_id) > self._kept_count:
                self._by_id.popitem(last=False)

    def latest(self) -> ShownReading | None:
        """The reading added last since the start of the device; None before the first."""
        with self._lock:
            latest = next(reversed(self._by_id.values()), None)
        return None if latest is None or latest.shown.recalled else latest.whole()

    def find(self, reading_id: UUID) -> ShownReading | None:
        """The reading with this id; None if it is no longer kept."""
        with self._lock:
            kept = self._by_id.get(reading_id)
        return None if kept is None else kept.whole()

    def select(self, wanted: Callable[[Result], bool], limit: int) -> list[ShownReading]:
        """At most ``limit`` readings that are wanted, the latest first, without their ``cells`` and ``differs``."""
        with self._lock:
            kept = [each.shown for each in self._by_id.values()]
        fitting = (shown for shown in reversed(kept) if wanted(shown.result))
        return [shown for shown, _ in zip(fitting, range(limit), strict=False)]
