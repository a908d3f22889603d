"""The slide under the microscope: set, counted, finished."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from edge_agent.contracts import EventKind, ModelIdentity, Report, Result, Specimen, SpecimenField, Topics
from edge_agent.errors import EdgeAgentError, SpecimenMissing, SpecimenOpen, StateEntryInvalid
from edge_agent.events.recorder import EventRecorder
from edge_agent.specimens.tally import Tally
from edge_agent.spool import Message, Spool, read_state_entry

STATE_KEY = "specimen"
"""Key of the state entry with the tally, which is as durable as the results that it counts."""


class SpecimenTracker:
    """At most one open slide, which survives restarts. Any thread may use it."""

    def __init__(
        self,
        spool: Spool,
        events: EventRecorder,
        session: UUID,
        topics: Callable[[], Topics],
        model: Callable[[], ModelIdentity],
    ) -> None:
        """Restore the open slide from the spool. ``topics`` and ``model`` are called each time they are needed."""
        self._spool = spool
        self._events = events
        self._session = session
        self._topics = topics
        self._model = model
        # A reading counted while the report is written would belong to neither this slide nor the next.
        self._lock = threading.Lock()
        self._tally = self._restore()

    @property
    def open_slide(self) -> Tally | None:
        """The counts of the open slide."""
        with self._lock:
            return self._tally

    def set(self, specimen: Specimen) -> None:
        """From the next reading on, readings belong to this slide. Raises ``SpecimenOpen``."""
        with self._lock:
            if self._tally is not None:
                raise SpecimenOpen("A slide is already open.")
            tally = Tally(specimen=specimen, began_at=datetime.now(UTC))
            self._events.record(
                EventKind.SPECIMEN_SET,
                "A slide was set.",
                state_entries={STATE_KEY: tally.to_json()},
                specimen=specimen.id,
                slide=specimen.slide,
            )
            self._tally = tally

    def finish(self) -> Report:
        """Close the slide and send its report.

        Raises ``SpecimenMissing``, or the spool's error if it cannot take it.
        """
        with self._lock:
            if self._tally is None:
                raise SpecimenMissing("No slide is open.")
            topics = self._topics()
            report = self._tally.report(device=topics.device, session=self._session, model=self._model())
            self._spool.append(Message(report.id, topics.report, report.to_json()), {STATE_KEY: None})
            self._tally = None
        self._events.record(
            EventKind.SPECIMEN_FINISHED,
            f"The slide was finished after {report.readings_count} readings.",
            specimen=report.specimen.id,
            slide=report.specimen.slide,
            report=str(report.id),
        )
        return report

    def append(self, make: Callable[[SpecimenField | None], Result]) -> tuple[Result, EdgeAgentError | None]:
        """Create a result, and append it to the spool together with the updated count of its slide.

        ``make`` gets the place of the reading in the slide. Returns the error if the spool refused the result, which
        then does not count.
        """
        with self._lock:
            tally = self._tally
            result = make(None if tally is None else tally.next_field)
            counted = None if tally is None else tally.counting(result)
            entries = {} if counted is None else {STATE_KEY: counted.to_json()}
            try:
                message = Message(result.id, self._topics().result(result.camera), result.to_json())
                self._spool.append(message, entries)
            except EdgeAgentError as error:
                return result, error
            self._tally = counted
            return result, None

    def _restore(self) -> Tally | None:
        return read_state_entry(self._spool, STATE_KEY, Tally.model_validate_json, on_invalid=self._record_unreadable)

    def _record_unreadable(self, error: StateEntryInvalid) -> None:
        self._events.record(
            EventKind.STATE_IGNORED,
            "The open slide could not be restored; reading continues without one.",
            code=error.code,
            problem=error.message,
        )
