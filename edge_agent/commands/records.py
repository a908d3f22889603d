"""Records which commands were carried out and how they were answered, so that none is carried out twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from uuid import UUID

from pydantic import BaseModel

from edge_agent.contracts import Answer, EventKind
from edge_agent.errors import SpoolError, StateEntryInvalid
from edge_agent.events.recorder import EventRecorder
from edge_agent.spool import Spool, read_state_entries

RECORDS_MAX = 64
"""Number of ids that are kept, with their answers."""

_PREFIX = "command/"
_DURABLE_S = 10.0


class CommandRecord(BaseModel):
    """The record of a request. One without an answer was started and not finished."""

    digest: str
    answer: Answer | None = None


class CommandRecords:
    """The newest ``RECORDS_MAX`` records, in the spool. Any thread may use it."""

    def __init__(self, spool: Spool, events: EventRecorder) -> None:
        """Read the records from the spool. Those that cannot be read are ignored, with an event."""
        self._spool = spool
        self._lock = threading.Lock()
        self._records = self._restore(events)

    def get(self, identity: UUID) -> CommandRecord | None:
        """The record of a request, if there is one."""
        with self._lock:
            return self._records.get(identity)

    def keep(self, identity: UUID, record: CommandRecord) -> None:
        """Store a record durably. Raises ``SpoolError`` if that cannot be done in time."""
        entries: dict[str, bytes | None] = {f"{_PREFIX}{identity}": record.model_dump_json().encode()}
        with self._lock:
            self._records[identity] = record
            while len(self._records) > RECORDS_MAX:
                oldest, _ = self._records.popitem(last=False)
                entries[f"{_PREFIX}{oldest}"] = None
        self._spool.write_state_entries(entries)
        if not self._spool.flush(_DURABLE_S):
            raise SpoolError("The command's id could not be written to the spool in time.")

    def _restore(self, events: EventRecorder) -> OrderedDict[UUID, CommandRecord]:
        problems: list[str] = []
        found = read_state_entries(
            self._spool,
            _PREFIX,
            CommandRecord.model_validate_json,
            on_invalid=lambda error: problems.append(error.message),
        )
        records: OrderedDict[UUID, CommandRecord] = OrderedDict()
        for key, record in found.items():
            try:
                records[UUID(key.removeprefix(_PREFIX))] = record
            except ValueError:
                problems.append(f"The state entry '{key}' is not named after a command's id.")
                self._spool.write_state_entries({key: None})
        if problems:
            events.record(
                EventKind.STATE_IGNORED,
                f"{len(problems)} records of commands could not be read and are ignored.",
                code=StateEntryInvalid.code,
                problem=problems[0],
                entries_count=len(problems),
            )
        return records
