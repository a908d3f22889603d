"""Tells what happened to the device: in its audit log, and by the spool to the broker."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from edge_agent.contracts import AuditPosition, Event, EventKind, Topics
from edge_agent.errors import AuditBroken, AuditUnwritable, EdgeAgentError
from edge_agent.events.audit_log import FILE, AuditLog
from edge_agent.spool import Message, Spool
from edge_agent.spool.base import StateEntries

log = logging.getLogger(__name__)

Detail = str | int | float | bool | None


class EventRecorder:
    """Makes events. Any thread may tell."""

    def __init__(self, folder: Path, spool: Spool, topics: Topics, session: UUID) -> None:
        """``folder`` holds the audit log. One that is broken or cannot be written is an ``error``, not raised."""
        self.topics = topics
        self._folder = folder
        self._spool = spool
        self._session = session
        self._lock = threading.Lock()
        self._audit: AuditLog | None = None
        self._error: EdgeAgentError | None = None
        self._open()

    @property
    def error(self) -> EdgeAgentError | None:
        """Why the audit log is not written; None if it is."""
        return self._error

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

        One that the spool refuses is counted there, and stands in the audit log all the same.
        """
        with self._lock:
            event = Event(
                id=uuid7(),
                device=self.topics.device,
                session=self._session,
                at=datetime.now(UTC),
                kind=kind,
                code=code,
                message=message,
                details=details,
                audit=None,
            )
            event = event.model_copy(update={"audit": self._write(event)})
            log.info("%s: %s", kind, message)
            try:
                self._spool.append(Message(event.id, self.topics.event, event.to_json(), essential=True), state_entries)
            except EdgeAgentError as error:
                log.warning("the event '%s' could not be spooled: %s", kind, error)

    def close(self) -> None:
        """Let go of the audit log."""
        if self._audit is not None:
            self._audit.close()

    def _open(self) -> None:
        try:
            self._audit = AuditLog(self._folder / FILE)
        except (AuditUnwritable, AuditBroken) as error:
            self._say(error)
            return
        if self._audit.repaired:
            self.record(EventKind.AUDIT_REPAIRED, "The last line of the audit log was not finished and was cut off.")

    def _write(self, event: Event) -> AuditPosition | None:
        if self._audit is None:
            return None
        record = to_json(event.model_dump(mode="json", exclude={"audit", "replayed", "use"}))
        try:
            position = self._audit.append(record)
        except AuditUnwritable as error:
            self._say(error)
            return None
        self._error = None
        return position

    def _say(self, error: EdgeAgentError) -> None:
        if self._error is None or self._error.code != error.code:
            log.error("%s", error)
        self._error = error
