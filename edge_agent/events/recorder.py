"""Records the device's events: in its audit log, and through the spool at the broker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from edge_agent.contracts import AuditPosition, Event, EventKind, Topics
from edge_agent.errors import AuditBroken, AuditUnwritable, EdgeAgentError
from edge_agent.events.audit_log import SEGMENT_BYTES, SEGMENTS_MAX, AuditLog, Repaired, SetAside
from edge_agent.events.audit_segments import FILE
from edge_agent.spool import Message, Spool
from edge_agent.spool.base import StateEntries

log = logging.getLogger(__name__)

Detail = str | int | float | bool | None


class EventRecorder:
    """Records events. Any thread may use it."""

    def __init__(self, folder: Path, spool: Spool, topics: Topics, session: UUID) -> None:
        """``folder`` has the audit log. Nothing is raised, whatever is in it: ``error`` says what is wrong."""
        self.topics = topics
        self._spool = spool
        self._session = session
        self._lock = threading.Lock()
        self._audit = AuditLog(folder / FILE, segment_bytes=SEGMENT_BYTES, segments_max=SEGMENTS_MAX)
        self._unwritable: AuditUnwritable | None = None
        self._trimmed_through: int | None = None
        """Number of the last entry whose deletion was recorded."""
        with self._lock:
            try:
                self._audit.open()
            except AuditUnwritable as error:
                self._note_unwritable(error)
            self._record_incidents()
            self._delete_oldest()

    @property
    def error(self) -> EdgeAgentError | None:
        """Why the audit log is not written, or which damaged files of it need attention."""
        if self._unwritable is not None:
            return self._unwritable
        damaged = [path.name for path in self._audit.set_aside_paths]
        if not damaged:
            return None
        return AuditBroken(
            f"The audit log was damaged and renamed ({', '.join(damaged)}); a new one was started.",
            remedy="Compare that file with the events at the broker and find out who had access to the device, then "
            "move it out of the state folder.",
        )

    def record(
        self,
        kind: EventKind,
        message: str,
        *,
        code: str | None = None,
        state_entries: StateEntries | None = None,
        **details: Detail,
    ) -> None:
        """Write an event to the audit log and hand it, with ``state_entries``, to the spool.

        An event that the spool refuses is counted there, and is in the audit log nevertheless.
        """
        with self._lock:
            self._record(kind, message, details, code, state_entries)
            self._record_incidents()
            self._delete_oldest()

    def close(self) -> None:
        """Close the audit log."""
        with self._lock:
            self._audit.close()

    def _record(
        self,
        kind: EventKind,
        message: str,
        details: Mapping[str, Detail],
        code: str | None = None,
        state_entries: StateEntries | None = None,
    ) -> None:
        event = Event(
            id=uuid7(),
            site=self.topics.site,
            device=self.topics.device,
            session=self._session,
            at=datetime.now(UTC),
            kind=kind,
            code=code,
            message=_printable(message),
            details={name: _printable(value) if isinstance(value, str) else value for name, value in details.items()},
            audit=None,
        )
        event = event.model_copy(update={"audit": self._write(event)})
        log.info("%s: %s", kind, event.message)
        try:
            self._spool.append(Message(event.id, self.topics.event, event.to_json(), essential=True), state_entries)
        except EdgeAgentError as error:
            log.warning("the event '%s' could not be spooled: %s", kind, error)

    def _write(self, event: Event) -> AuditPosition | None:
        try:
            position = self._audit.append(event.model_dump(mode="json", exclude={"audit", "replayed", "use"}))
        except AuditUnwritable as error:
            self._note_unwritable(error)
            return None
        self._unwritable = None
        return position

    def _record_incidents(self) -> None:
        for incident in self._audit.pop_incidents():
            match incident:
                case Repaired():
                    message = "The last line of the audit log was incomplete and was cut off."
                    self._record(EventKind.AUDIT_REPAIRED, message, {})
                case SetAside(path, problem):
                    self._record(
                        EventKind.AUDIT_SET_ASIDE,
                        f"The audit log was damaged and was renamed to {path.name}.",
                        {"file": path.name, "problem": problem},
                        code=AuditBroken.code,
                    )

    def _delete_oldest(self) -> None:
        """Keep the log within its bound.

        The deletion is recorded first, so that the log explains its missing beginning. Where nothing can be written,
        nothing is deleted; what cannot be deleted is tried again when the next file is full.
        """
        excess = [] if self._unwritable is not None else self._audit.excess()
        if not excess or excess[-1][0].last_seq == self._trimmed_through:
            return
        segment, position = excess[-1]
        self._record(
            EventKind.AUDIT_TRIMMED,
            f"The oldest entries of the audit log, up to {segment.last_seq}, were deleted to make room.",
            {
                "through_seq": segment.last_seq,
                "through_sha256": None if position is None else position.sha256,
                "files_count": len(excess),
            },
        )
        if self._unwritable is None:
            self._trimmed_through = segment.last_seq
            for old, _ in excess:
                self._audit.delete(old)

    def _note_unwritable(self, error: AuditUnwritable) -> None:
        if self._unwritable is None or self._unwritable.message != error.message:
            log.error("%s", error)
        self._unwritable = error


def _printable(text: str) -> str:
    """``text`` as valid UTF-8: file names need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
