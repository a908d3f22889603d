"""Keeps the progress of a roll-out in its record, and reports it as its status."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from edge_agent.contracts import ModelIdentity
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.rollout import ModelKind, RolloutState
from edge_agent.errors import EdgeAgentError, RolloutInterrupted
from edge_agent.rollout.desired import model_key, version_order
from edge_agent.rollout.inbox import Inbox
from edge_agent.rollout.record import RecordFile, RolloutRecord
from edge_agent.rollout.status import StatusReport

log = logging.getLogger(__name__)

TESTS_MAX = 3
"""After this many tests that ended with the process no more are made: the model may be the cause."""
WRITE_AGAIN_S = 60.0
"""Pause after a failure to write the record."""


class Progress:
    """The record and the status. It belongs to the roll-out's thread."""

    def __init__(self, file: RecordFile, record: RolloutRecord, report: StatusReport, inbox: Inbox) -> None:
        """``record`` is the content of the file."""
        self._file = file
        self._record = record
        self._report = report
        self._inbox = inbox

    @property
    def record(self) -> RolloutRecord:
        """The kept record."""
        return self._record

    def report(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of the status
        """Report something within a state."""
        self._report.change(**changes)

    def enter(self, state: RolloutState, **changes: Any) -> None:  # noqa: ANN401 - the fields of the status
        """Report a state. Raises ``Superseded`` if the agent stops."""
        self._inbox.record_refused_messages()
        self._inbox.require_running()
        self._report.change(
            **{
                "state": state,
                "received_bytes": None,
                "size_bytes": None,
                "shadow_readings_count": None,
                "retry_at": None,
                "error": None,
                **changes,
            }
        )

    def finish(self, state: RolloutState, error: EdgeAgentError | None = None) -> None:
        """Keep and report a final state. Raises ``Superseded``."""
        report = None if error is None else ErrorReport.from_error(error)
        if (self._record.state, self._record.error) != (state, report):
            self.keep_until_written(state=state, error=report, tests_count=0)
        self.enter(state, error=report)

    def keep(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of the record
        """Change the record. Raises ``DiskFull`` or ``ModelStoreError``, and then nothing has changed."""
        record = self._record.model_copy(update=changes)
        self._file.write(record)
        self._record = record

    def keep_until_written(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of the record
        """Change the record, however long the disk is full. Raises ``Superseded``."""
        while True:
            try:
                self.keep(**changes)
            except EdgeAgentError as error:
                log.warning("%s", error)
                self._report.change(error=ErrorReport.from_error(error))
                self._inbox.pause(WRITE_AGAIN_S)
            else:
                return

    def count_failure(self) -> int:
        """Count a failed attempt. Returns the number of failed attempts."""
        count = self._record.failures_count + 1
        self._record = self._record.model_copy(update={"failures_count": count})
        # Nothing is lost if this cannot be written: after a restart the count continues from a lower number.
        with contextlib.suppress(EdgeAgentError):
            self._file.write(self._record)
        return count

    @contextlib.contextmanager
    def counted_test(self) -> Iterator[None]:
        """Run an unknown model inside the block: if the process ends in it, that is counted.

        Raises ``RolloutInterrupted`` after ``TESTS_MAX``, ``DiskFull``, ``ModelStoreError``.
        """
        count = self._record.tests_count
        if count >= TESTS_MAX:
            raise RolloutInterrupted(f"The agent ended {count} times while it tested this model.")
        self.keep(tests_count=count + 1)
        try:
            yield
        finally:
            with contextlib.suppress(EdgeAgentError):
                self.keep(tests_count=count)

    def note_used(self, model: ModelIdentity) -> None:
        """Remember the versions in use, so that no downgrade goes unnoticed. Raises as ``keep`` does."""
        used = {model_key(ModelKind.BUNDLE, model.name): model.version}
        if model.head is not None:
            used[model_key(ModelKind.HEAD, model.head.name)] = model.head.version
        highest = dict(self._record.highest)
        for key, version in used.items():
            if version_order(version) > version_order(highest.get(key, "")):
                highest[key] = version
        if highest != self._record.highest:
            self.keep(highest=highest)
