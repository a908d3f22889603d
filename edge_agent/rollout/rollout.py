"""Follows ``model/desired``: one thread that fetches, verifies, tests and activates, while the model in use answers.

An accepted message, and how it ended, is written before anything is done about it. Every step before the activation can
be repeated without harm: a download continues, a finished installation is found, and a test has no effect. The
activation is one rename. So a kill or a power cut at any point leads to the same end, only later.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_agent.contracts import EventKind, ModelIdentity
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.rollout import ModelDesired, ModelKind, RolloutState
from edge_agent.errors import EdgeAgentError, ModelRolledBack, ModelStoreFull, RolloutError
from edge_agent.priority import lower_priority
from edge_agent.rollout.activation import Activation
from edge_agent.rollout.attempt import TRANSIENT, Attempt
from edge_agent.rollout.inbox import Inbox, Superseded
from edge_agent.rollout.operations import RolloutOperations
from edge_agent.rollout.progress import Progress
from edge_agent.rollout.record import FINAL, RecordFile, RolloutRecord
from edge_agent.rollout.status import RolloutStatus, StatusReport

log = logging.getLogger(__name__)

DOWNLOADS = "download"
"""Folder of downloaded archives, beside the installed models."""
RETRY_MAX_S = 3600.0
STOP_S = 10.0


class Rollout:
    """Follows the newest message on ``model/desired``. ``submit`` may be called by any thread."""

    def __init__(self, folder: Path, activation: Activation, operations: RolloutOperations) -> None:
        """``folder`` is the folder ``models`` of the state folder. A record that cannot be read begins anew."""
        self._activation = activation
        self._do = operations
        file = RecordFile(folder)
        self._damaged: EdgeAgentError | None = None
        try:
            record = file.read()
        except EdgeAgentError as error:
            record, self._damaged = RolloutRecord(), error
        state = record.state
        if state is RolloutState.ACTIVE and record.desired and not _is_in_use(record.desired, operations.model()):
            # The model's fate is checked soon, and it must not be reported as in use until then.
            state = RolloutState.IDLE
        self._report = StatusReport(
            RolloutStatus(
                state=state, desired=record.desired, failures_count=record.failures_count, error=record.error
            ),
            operations.changed,
        )
        self._inbox = Inbox(record.desired, record.accepted_at, self._report, operations)
        self._progress = Progress(file, record, self._report, self._inbox)
        self._attempt = Attempt(folder / DOWNLOADS, activation, operations, self._inbox, self._progress)
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)

    @property
    def status(self) -> RolloutStatus:
        """The roll-out's status."""
        return self._report.status

    def start(self) -> None:
        """Start the thread, which continues interrupted work."""
        self._thread.start()

    def stop(self) -> None:
        """End the current work, which continues at the next start."""
        self._inbox.stop()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def submit(self, payload: bytes) -> None:
        """Take a message that came on ``model/desired``. Never waits and never raises, whatever its content."""
        self._inbox.submit(payload)

    def look_again(self) -> None:
        """The activation may have changed: another model was chosen, or one on trial was given up."""
        self._inbox.look_again()

    def _run(self) -> None:
        # Frames come first.
        lower_priority()
        if self._damaged is not None:
            self._do.record(
                EventKind.STATE_IGNORED,
                "What was known of roll-outs could not be read.",
                code=self._damaged.code,
                problem=self._damaged.message,
            )
        while (turn := self._inbox.next_turn()) is not None:
            try:
                self._inbox.record_refused_messages()
                if turn.is_new:
                    self._inbox.follow(turn)
                    self._follow(turn.wanted)
                elif turn.look:
                    self._look_at_activation()
            except Superseded:
                pass
            except Exception as error:
                log.exception("a roll-out failed")
                with contextlib.suppress(Superseded):
                    self._refuse(RolloutError(f"{type(error).__name__}: {error}."))

    def _follow(self, wanted: ModelDesired | None) -> None:
        """Follow the message to its end. Raises ``Superseded``."""
        if wanted != self._progress.record.desired:
            self._begin(wanted)
        if wanted is None:
            return
        if self._progress.record.state in FINAL:
            self._look_at_activation()
            return
        while True:
            try:
                self._try(wanted)
            except ModelStoreFull as error:
                self._refuse(error)
            except TRANSIENT as error:
                if self._wait_to_try_again(error):
                    continue
            except EdgeAgentError as error:
                self._refuse(error)
            return

    def _begin(self, wanted: ModelDesired | None) -> None:
        self._progress.keep_until_written(
            desired=wanted,
            accepted_at=self._inbox.accepted_at,
            state=RolloutState.IDLE if wanted is None else RolloutState.WAITING,
            error=None,
            failures_count=0,
            tests_count=0,
            choice=None,
        )
        self._progress.enter(self._progress.record.state, desired=wanted, takes_part=True, failures_count=0)
        if wanted is None:
            self._do.record(EventKind.MODEL_DESIRED, "The request for a model was withdrawn.")
        else:
            self._do.record(
                EventKind.MODEL_DESIRED,
                f"The {wanted.kind} {wanted.name} {wanted.version} was asked for.",
                model=wanted.name,
                model_version=wanted.version,
                archive_sha256=wanted.sha256,
            )

    def _try(self, wanted: ModelDesired) -> None:
        """Bring the model into use, unless it is in use or was given up. Raises ``EdgeAgentError``, ``Superseded``."""
        if not _is_in_use(wanted, self._do.model()):
            given_up = self._given_up(wanted)
            if given_up is not None:
                self._progress.finish(RolloutState.ROLLED_BACK, given_up)
                return
            self._attempt.run(wanted)
        self._activated(wanted)

    def _activated(self, wanted: ModelDesired) -> None:
        self._progress.note_used(self._do.model())
        self._progress.finish(RolloutState.ACTIVE)
        self._do.record(
            EventKind.MODEL_ACTIVATED,
            f"The {wanted.kind} {wanted.name} {wanted.version} is in use.",
            model=wanted.name,
            model_version=wanted.version,
            archive_sha256=wanted.sha256,
        )

    def _look_at_activation(self) -> None:
        """Check whether the activated model is still in use."""
        wanted = self._progress.record.desired
        if wanted is None or self._progress.record.state is RolloutState.REFUSED:
            return
        if _is_in_use(wanted, self._do.model()):
            self._progress.finish(RolloutState.ACTIVE)
        elif self._progress.record.state is RolloutState.ACTIVE:
            given_up = self._given_up(wanted)
            if given_up is not None:
                self._progress.finish(RolloutState.ROLLED_BACK, given_up)
            else:
                # Another model was chosen on the device.
                self._progress.enter(RolloutState.IDLE)

    def _given_up(self, wanted: ModelDesired) -> ModelRolledBack | None:
        """Why the model is not in use any more, if it was activated and given up since.

        Whoever gave it up has recorded the event.
        """
        active = self._activation.read_or_none()
        record = self._progress.record
        if active is None or active.rolled_back is None or active.id == record.before:
            return None
        back = active.rolled_back
        if back.choice != record.choice:
            return None
        what = f"The {wanted.kind} {wanted.name} {wanted.version} is no longer in use"
        return ModelRolledBack(f"{what} ({back.reason}){'' if back.message is None else f': {back.message}'}")

    def _refuse(self, error: EdgeAgentError) -> None:
        """Refuse the model. This is final until another message comes."""
        log.warning("%s", error)
        self._progress.finish(RolloutState.REFUSED, error)
        wanted = self._progress.record.desired
        self._do.record(
            EventKind.MODEL_REFUSED,
            error.message,
            code=error.code,
            model=None if wanted is None else wanted.name,
            model_version=None if wanted is None else wanted.version,
        )

    def _wait_to_try_again(self, error: EdgeAgentError) -> bool:
        """Wait. False if there were enough attempts and the model is refused. Raises ``Superseded``."""
        count = self._progress.count_failure()
        if count >= self._do.settings().max_attempts_count:
            self._refuse(error)
            return False
        log.warning("%s", error)
        longest_s = min(self._do.settings().retry_s * 2 ** min(count - 1, 30), RETRY_MAX_S)
        pause_s = longest_s * random.uniform(0.6, 1)  # noqa: S311 - no secret: so that a fleet does not come back at once
        self._progress.enter(
            RolloutState.WAITING,
            error=ErrorReport.from_error(error),
            failures_count=count,
            retry_at=datetime.now(UTC) + timedelta(seconds=pause_s),
        )
        self._inbox.pause(pause_s)
        return True


def _is_in_use(wanted: ModelDesired, model: ModelIdentity) -> bool:
    if wanted.kind is ModelKind.HEAD:
        return model.head is not None and (model.head.name, model.head.version) == (wanted.name, wanted.version)
    return model.head is None and (model.name, model.version) == (wanted.name, wanted.version)
