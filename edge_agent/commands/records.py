"""Which commands were carried out, and how they were answered: kept so that none is carried out twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from uuid import UUID

from pydantic import BaseModel

from edge_agent.contracts import Answer
from edge_agent.errors import SpoolError
from edge_agent.events.recorder import EventRecorder
from edge_agent.events.state_entries import read_state_entries
from edge_agent.spool import Spool

RECORDS_MAX = 64
"""Ids that are kept, with their answers."""

_PREFIX = "command/"
_DURABLE_S = 10.0


class CommandRecord(BaseModel):
    """What is kept of a request. One without an answer was begun and not finished."""

    digest: str
    answer: Answer | None = None


class CommandRecords:
    """The newest ``RECORDS_MAX`` records, in the spool. Any thread may use it."""

    def __init__(self, spool: Spool, events: EventRecorder) -> None:
        """Go on with what the spool has. Records that cannot be read are removed."""
        self._spool = spool
        self._lock = threading.Lock()
        self._records = OrderedDict(read_state_entries(spool, events, _PREFIX, _parse).values())

    def get(self, identity: UUID) -> CommandRecord | None:
        """What is known of a request."""
        with self._lock:
            return self._records.get(identity)

    def keep(self, identity: UUID, record: CommandRecord) -> None:
        """Keep a record, durably. Raises ``SpoolError`` if that cannot be done in time."""
        entries: dict[str, bytes | None] = {f"{_PREFIX}{identity}": record.model_dump_json().encode()}
        with self._lock:
            self._records[identity] = record
            while len(self._records) > RECORDS_MAX:
                oldest, _ = self._records.popitem(last=False)
                entries[f"{_PREFIX}{oldest}"] = None
        self._spool.write_state_entries(entries)
        if not self._spool.flush(_DURABLE_S):
            raise SpoolError("The command's id could not be written to the spool in time.")


def _parse(key: str, content: bytes) -> tuple[UUID, CommandRecord]:
    """Raises ``ValueError``."""
    return UUID(key.removeprefix(_PREFIX)), CommandRecord.model_validate_json(content)
