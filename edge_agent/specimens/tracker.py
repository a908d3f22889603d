"""The slide under the microscope: set, counted, finished."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import EventKind, ModelIdentity, Report, Result, Specimen, SpecimenField, Topics
from edge_agent.errors import EdgeAgentError, SpecimenMissing, SpecimenOpen, StateEntryInvalid
from edge_agent.events.recorder import EventRecorder
from edge_agent.specimens.archive import ReportArchive
from edge_agent.specimens.repeats import SIDE_PX, Picture, SeenFields, recognisable
from edge_agent.specimens.tally import JUDGED, Tally
from edge_agent.spool import Message, Spool, read_state_entries, read_state_entry
from edge_agent.spool.base import StateEntries

STATE_KEY = "specimen"
"""Key of the state entry with the tally, which is as durable as the results that it counts."""

FIELD_PREFIX = "seen-field/"
"""Prefix of the keys of the fields that the open slide has counted; the slide's beginning and the number follow."""


class SpecimenTracker:
    """At most one open slide, which survives restarts. Any thread may use it."""

    def __init__(
        self,
        spool: Spool,
        events: EventRecorder,
        session: UUID,
        topics: Callable[[], Topics],
        model: Callable[[], ModelIdentity],
        *,
        on_change: Callable[[Tally | None], None] = lambda _tally: None,
    ) -> None:
        """Restore the open slide from the spool. ``topics`` and ``model`` are called each time they are needed.

        ``on_change`` gets the counts after each change, and None when the slide is finished; it must not wait, or call
        the tracker.
        """
        self._spool = spool
        self._events = events
        self._session = session
        self._topics = topics
        self._model = model
        self._on_change = on_change
        self.archive = ReportArchive(spool.state_entries)
        """The reports of the finished slides."""
        # A reading counted while the report is written would belong to neither this slide nor the next.
        self._lock = threading.Lock()
        self._tally = self._restore()
        self._seen = self._restore_seen()

    @property
    def open_slide(self) -> Tally | None:
        """The counts of the open slide."""
        with self._lock:
            return self._tally

    def set(self, specimen: Specimen, wished_fields_count: int | None = None) -> None:
        """Open a slide, to which readings belong from the next one on. Raises ``SpecimenOpen``."""
        with self._lock:
            if self._tally is not None:
                raise SpecimenOpen("A slide is already open.")
            tally = Tally(specimen=specimen, began_at=datetime.now(UTC), wished_fields_count=wished_fields_count)
            self._events.record(
                EventKind.SPECIMEN_SET,
                "A slide was set.",
                state_entries={STATE_KEY: tally.to_json()},
                specimen=specimen.id,
                slide=specimen.slide,
            )
            self._tally, self._seen = tally, SeenFields()
            self._on_change(tally)

    def finish(self) -> Report:
        """Close the slide, send its report and keep it.

        Raises ``SpecimenMissing``, or the spool's error if it cannot take it.
        """
        with self._lock:
            if self._tally is None:
                raise SpecimenMissing("No slide is open.")
            topics = self._topics()
            report = self._tally.report(topics=topics, session=self._session, model=self._model())
            entries = {
                STATE_KEY: None,
                **dict.fromkeys(self._spool.state_entries(FIELD_PREFIX)),
                **self.archive.entries_with(report),
            }
            self._spool.append(Message(report.id, topics.report, report.to_json()), entries)
            self._tally, self._seen = None, SeenFields()
            self._on_change(None)
        self._events.record(
            EventKind.SPECIMEN_FINISHED,
            f"The slide was finished after {report.readings_count} readings.",
            specimen=report.specimen.id,
            slide=report.specimen.slide,
            report=str(report.id),
        )
        return report

    def append(
        self, reading: Reading, make: Callable[[SpecimenField | None], Result]
    ) -> tuple[Result, EdgeAgentError | None]:
        """Turn a reading into a result, and append it to the spool together with the updated count of its slide.

        ``make`` gets the place of the reading in the slide. Returns the error if the spool refused the result, which
        then does not count.
        """
        with self._lock:
            tally = self._tally
            if tally is None:
                result = make(None)
                return result, self._send(result, {})
            picture = _picture(reading)
            repeats = None if picture is None else self._seen.find(picture)
            place = tally.next_field(repeats=repeats)
            result = make(place)
            counted = tally.counting(result, reading.labels, reading.cell_labels)
            entries: dict[str, bytes | None] = {STATE_KEY: counted.to_json()}
            new = picture if repeats is None else None
            if new is not None:
                if (surplus := self._seen.surplus) is not None:
                    entries[_field_key(tally, surplus)] = None
                entries[_field_key(tally, place.field)] = new.tobytes()
            refusal = self._send(result, entries)
            if refusal is None:
                self._tally = counted
                if new is not None:
                    self._seen.add(place.field, new)
                self._on_change(counted)
            return result, refusal

    def _send(self, result: Result, state_entries: StateEntries) -> EdgeAgentError | None:
        try:
            message = Message(result.id, self._topics().result(result.camera), result.to_json())
            self._spool.append(message, state_entries)
        except EdgeAgentError as error:
            return error
        return None

    def _restore(self) -> Tally | None:
        return read_state_entry(
            self._spool,
            STATE_KEY,
            Tally.restore,
            on_invalid=lambda error: self._record_ignored(
                "The open slide could not be restored; reading continues without one.", error
            ),
        )

    def _restore_seen(self) -> SeenFields:
        """The counted fields of the open slide. Those of another slide are deleted.

        A release that does not know these entries may have finished their slide.
        """
        prefix = None if self._tally is None else _field_key(self._tally)
        kept = self._spool.state_entries(FIELD_PREFIX)
        foreign = [key for key in kept if prefix is None or not key.startswith(prefix)]
        if foreign:
            self._spool.write_state_entries(dict.fromkeys(foreign))
        if prefix is None:
            return SeenFields()
        problems: list[StateEntryInvalid] = []
        pictures = read_state_entries(self._spool, prefix, _parse_picture, on_invalid=problems.append)
        if problems:
            self._record_ignored(
                f"{len(problems)} counted fields of the open slide could not be restored; they may be counted again.",
                problems[0],
            )
        return SeenFields((int(key.removeprefix(prefix)), picture) for key, picture in pictures.items())

    def _record_ignored(self, message: str, error: StateEntryInvalid) -> None:
        self._events.record(EventKind.STATE_IGNORED, message, code=error.code, problem=error.message)


def _picture(reading: Reading) -> Picture | None:
    """The picture by which a judged field is recognised. A refused field counts once it is fit to be judged."""
    if reading.outcome not in JUDGED or reading.explanation is None:
        return None
    return recognisable(reading.explanation.field)


def _field_key(tally: Tally, number: int | None = None) -> str:
    """Key of a counted field of this slide; without a number, the prefix of all of them."""
    began_at = tally.began_at.isoformat(timespec="milliseconds")
    return f"{FIELD_PREFIX}{began_at}/{'' if number is None else number}"


def _parse_picture(entry: bytes) -> Picture:
    return np.frombuffer(entry, np.uint8).reshape(SIDE_PX, SIDE_PX)
