"""Follows ``model/desired``: one thread that fetches, verifies, tests and activates, while the model in use answers.

What was accepted, and how it ended, is written before anything is done about it. Every step before the activation can
be done again without harm: a download continues, an installation that was finished is found, and a test has no effect.
The activation is one rename. So a kill or a power cut at any point is followed by the same end, only later.
"""

from __future__ import annotations

import contextlib
import logging
import random
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_agent.contracts import EventKind, HeadManifest
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.rollout import ModelDesired, ModelKind, RolloutState
from edge_agent.errors import (
    ConfigError,
    DiskFull,
    DiskLow,
    DownloadFailed,
    EdgeAgentError,
    FileUnusable,
    ModelMismatch,
    ModelRolledBack,
    ModelStoreError,
    ModelStoreFull,
    RolloutError,
    RolloutInterrupted,
    ShadowDisagrees,
    StateEntryInvalid,
)
from edge_agent.priority import lower_priority
from edge_agent.rollout.activation import Activation, Active, Choice
from edge_agent.rollout.desired import model_key, read_desired, require_new, require_no_downgrade, version_order
from edge_agent.rollout.download import Download, DownloadLimits
from edge_agent.rollout.operations import RolloutOperations, ShadowVerdict
from edge_agent.rollout.record import FINAL, Installed, RecordFile, RolloutRecord
from edge_agent.rollout.self_test import self_test
from edge_agent.rollout.settings import Origin
from edge_agent.rollout.status import RolloutStatus
from edge_agent.rollout.store import InstalledModel
from edge_agent.rollout.transfer import Cancelled

log = logging.getLogger(__name__)

DOWNLOADS = "download"
"""Folder of what has arrived, beside the installed models."""
TESTS_MAX = 3
"""So many tests that ended with the process are enough: the model may be why."""
PROGRESS_S = 2.0
"""How often the progress of a download is published."""
LOOK_S = 60.0
"""Longest wait for a moment of the wall clock, which may be set meanwhile."""
RETRY_MAX_S = 3600.0
STOP_S = 10.0

_TRANSIENT = (DownloadFailed, DiskFull, DiskLow, FileUnusable, ConfigError, ModelStoreError)
"""After these another attempt may succeed; anything else would only happen again."""


class _Superseded(Exception):
    """Another message came, or the agent stops."""


class Rollout:
    """Follows the newest message on ``model/desired``. ``submit`` may be called by any thread."""

    def __init__(self, folder: Path, activation: Activation, operations: RolloutOperations) -> None:
        """``folder`` is the folder ``models`` of the state folder. A record that cannot be read begins anew."""
        self._folder = folder
        self._activation = activation
        self._do = operations
        self._file = RecordFile(folder)
        self._damaged: EdgeAgentError | None = None
        try:
            self._record = self._file.read()
        except EdgeAgentError as error:
            self._record, self._damaged = RolloutRecord(), error
        desired, state = self._record.desired, self._record.state
        if state is RolloutState.ACTIVE and desired is not None and not self._is_in_use(desired):
            # What became of it is looked at soon, and it must not be said to be in use until then.
            state = RolloutState.IDLE
        self._status = RolloutStatus(
            state=state,
            desired=self._record.desired,
            failures_count=self._record.failures_count,
            error=self._record.error,
        )
        self._changed = threading.Condition()
        self._wanted = self._record.desired
        self._accepted_at = self._record.accepted_at
        self._number = 1
        """Of the newest decision; the thread has ``_followed`` one."""
        self._followed = 0
        self._look = False
        self._stopping = False
        self._cancel: Callable[[], None] | None = None
        self._told: set[str] = set()
        """Codes of refused messages since one was accepted."""
        self._unrecorded: deque[RolloutError] = deque()
        """Refused messages that are still to be recorded: the thread that submits them must not wait for the disk."""
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)

    @property
    def status(self) -> RolloutStatus:
        """How far it is."""
        return self._status

    def start(self) -> None:
        """Start the thread: what was interrupted goes on."""
        self._thread.start()

    def stop(self) -> None:
        """End what is under way, which goes on at the next start."""
        with self._changed:
            self._stopping = True
            self._interrupt()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def submit(self, payload: bytes) -> None:
        """A message came on ``model/desired``. Never waits and never raises, whatever is in it."""
        try:
            with self._changed:
                if payload:
                    self._accept(payload)
                else:
                    self._want(None)
                self._set(message_error=None)
        except RolloutError as error:
            self._refuse_message(error)
        except Exception as error:  # a defect of ours must not end the thread that calls this
            log.exception("a message on model/desired failed")
            self._refuse_message(RolloutError(f"{type(error).__name__}."))

    def look_again(self) -> None:
        """The activation may have changed: another model was chosen, or one on trial was given up."""
        with self._changed:
            self._look = True
            self._changed.notify_all()

    def _accept(self, payload: bytes) -> None:
        desired = read_desired(payload)
        if desired == self._wanted:
            # It comes again with each connection.
            return
        now, reliable = self._do.now()
        require_new(desired, self._accepted_at, now=now if reliable else None)
        self._accepted_at = desired.issued_at
        self._told.clear()
        self._want(desired)

    def _want(self, desired: ModelDesired | None) -> None:
        if desired != self._wanted:
            self._wanted = desired
            self._number += 1
            self._interrupt()

    def _interrupt(self) -> None:
        if self._cancel is not None:
            self._cancel()
        self._changed.notify_all()

    def _refuse_message(self, error: RolloutError) -> None:
        with self._changed:
            first = error.code not in self._told
            self._told.add(error.code)
            count = self._status.messages_refused_count + 1
            self._set(message_error=ErrorReport.from_error(error), messages_refused_count=count)
            if first:
                # Not each of many: they would push everything else out of the audit log.
                self._unrecorded.append(error)
                self._changed.notify_all()

    def _record_refused_messages(self) -> None:
        while self._unrecorded:
            error = self._unrecorded.popleft()
            message = f"A message on model/desired is not followed: {error.message}"
            self._do.record(EventKind.MODEL_REFUSED, message, code=error.code)

    def _set(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of the status
        with self._changed:
            status = replace(self._status, **changes)
            if status == self._status:
                return
            self._status = status
        self._do.changed()

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
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping or self._unrecorded or self._followed != self._number or self._look
                )
                if self._stopping and not self._unrecorded:
                    return
                number, wanted = self._number, self._wanted
                look, self._look = self._look, False
            try:
                self._record_refused_messages()
                if number != self._followed:
                    self._follow(number, wanted)
                elif look:
                    self._look_at_activation()
            except _Superseded:
                pass
            except Exception as error:
                log.exception("a roll-out failed")
                with contextlib.suppress(_Superseded):
                    self._refuse(RolloutError(f"{type(error).__name__}: {error}."))

    def _follow(self, number: int, wanted: ModelDesired | None) -> None:
        """Do what is wanted, to its end. Raises ``_Superseded``."""
        self._followed = number
        if wanted != self._record.desired:
            self._begin(wanted)
        if wanted is None:
            return
        if self._record.state in FINAL:
            self._look_at_activation()
            return
        while True:
            try:
                self._attempt(wanted)
            except ModelStoreFull as error:
                self._refuse(error)
            except _TRANSIENT as error:
                if self._wait_to_try_again(error):
                    continue
            except EdgeAgentError as error:
                self._refuse(error)
            return

    def _begin(self, wanted: ModelDesired | None) -> None:
        self._keep_until_written(
            desired=wanted,
            accepted_at=self._accepted_at,
            state=RolloutState.IDLE if wanted is None else RolloutState.WAITING,
            error=None,
            failures_count=0,
            tests_count=0,
            choice=None,
        )
        self._enter(self._record.state, desired=wanted, takes_part=True, failures_count=0)
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

    def _attempt(self, wanted: ModelDesired) -> None:
        """Everything from the request to the activation. Raises ``EdgeAgentError``, ``_Superseded``."""
        if self._is_in_use(wanted):
            self._activated(wanted)
            return
        if self._roll_back_of(wanted):
            return
        self._note_used()
        require_no_downgrade(wanted, self._record.highest)
        self._wait_for_turn(wanted)
        model = self._find_installed(wanted)
        if model is None:
            archive = self._download(wanted)
            self._enter(RolloutState.VERIFYING)
            with self._counted():
                model = self._install(wanted, archive)
        choice = self._choice(model)
        with self._counted():
            self._enter(RolloutState.SELF_TEST)
            settings = self._do.settings()
            self_test(
                self._do.load(choice),
                self._do.load(self._do.chosen()),
                max_slowdown_ratio=settings.max_slowdown_ratio,
                fast_enough_ms=settings.fast_enough_ms,
            )
            if wanted.shadow_readings_count is not None:
                self._judge_in_shadow(choice, wanted.shadow_readings_count)
        self._require_wanted()
        active = self._read_activation()
        self._keep(choice=choice, before=None if active is None else active.id)
        self._do.use(choice)
        self._activated(wanted)

    def _activated(self, wanted: ModelDesired) -> None:
        self._note_used()
        self._finish(RolloutState.ACTIVE)
        self._do.record(
            EventKind.MODEL_ACTIVATED,
            f"The {wanted.kind} {wanted.name} {wanted.version} is in use.",
            model=wanted.name,
            model_version=wanted.version,
            archive_sha256=wanted.sha256,
        )

    def _is_in_use(self, wanted: ModelDesired) -> bool:
        model = self._do.model()
        if wanted.kind is ModelKind.HEAD:
            return model.head is not None and (model.head.name, model.head.version) == (wanted.name, wanted.version)
        return model.head is None and (model.name, model.version) == (wanted.name, wanted.version)

    def _note_used(self) -> None:
        """Remember the versions in use, so that nobody goes back behind them unnoticed."""
        model = self._do.model()
        used = {model_key(ModelKind.BUNDLE, model.name): model.version}
        if model.head is not None:
            used[model_key(ModelKind.HEAD, model.head.name)] = model.head.version
        highest = dict(self._record.highest)
        for key, version in used.items():
            if version_order(version) > version_order(highest.get(key, "")):
                highest[key] = version
        if highest != self._record.highest:
            self._keep(highest=highest)

    def _wait_for_turn(self, wanted: ModelDesired) -> None:
        if wanted.wave is not None and not wanted.wave.includes(*self._do.place()):
            self._set(takes_part=False)
            self._pause(None)
        while wanted.not_before is not None:
            left_s = (wanted.not_before - self._do.now()[0]).total_seconds()
            if left_s <= 0:
                return
            self._set(retry_at=wanted.not_before)
            self._pause(min(left_s, LOOK_S))

    def _find_installed(self, wanted: ModelDesired) -> InstalledModel | None:
        installed = self._record.installed
        if installed is None or installed.sha256 != wanted.sha256:
            return None
        try:
            return self._do.store().find(wanted.kind, installed.reference)
        except ModelStoreError:
            raise
        except EdgeAgentError as error:
            log.warning("%s is fetched again: %s", installed.reference, error)
            return None

    def _download(self, wanted: ModelDesired) -> Path:
        settings = self._do.settings()
        limits = DownloadLimits(
            max_bytes=self._do.store().max_archive_bytes,
            deadline_s=60 * settings.download_minutes,
            stall_s=settings.stall_s,
            ca_file=settings.ca_file,
        )
        told_at = float("-inf")

        def progress(received_bytes: int, size_bytes: int | None) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= PROGRESS_S or received_bytes == size_bytes:
                told_at = time.monotonic()
                self._record_refused_messages()
                self._set(received_bytes=received_bytes, size_bytes=size_bytes)

        self._enter(RolloutState.DOWNLOADING, received_bytes=0)
        download = Download(
            self._folder / DOWNLOADS, limits, on_progress=progress, free_bytes_of=self._do.free_bytes_of
        )
        with self._cancelled_by(download.cancel):
            try:
                return download.fetch(wanted.source, wanted.sha256)
            except Cancelled as error:
                raise _Superseded from error

    def _install(self, wanted: ModelDesired, archive: Path) -> InstalledModel:
        try:
            model = self._do.store().install(archive, Origin.REMOTE)
        except _TRANSIENT:
            # It is kept, for the next attempt.
            raise
        except EdgeAgentError:
            shutil.rmtree(archive.parent, ignore_errors=True)
            raise
        found = (model.kind, model.manifest.name, model.manifest.version)
        if found != (wanted.kind, wanted.name, wanted.version):
            shutil.rmtree(archive.parent, ignore_errors=True)
            raise ModelMismatch(
                f"The archive has the {found[0]} {found[1]} {found[2]}, not the {wanted.kind} {wanted.name} "
                f"{wanted.version}."
            )
        self._keep(installed=Installed(sha256=wanted.sha256, reference=model.reference))
        shutil.rmtree(archive.parent, ignore_errors=True)
        return model

    def _choice(self, model: InstalledModel) -> Choice:
        if model.kind is ModelKind.BUNDLE:
            return Choice(bundle=model.reference)
        if not isinstance(model.manifest, HeadManifest):
            raise TypeError("a head has a head's manifest")
        if self._do.model().sha256 == model.model_sha256:
            # Another bundle with the same network would do, but this one has proved itself.
            return Choice(bundle=self._do.chosen().bundle, head=model.reference)
        return Choice(bundle=self._do.store().bundle_of(model.manifest).reference, head=model.reference)

    def _judge_in_shadow(self, choice: Choice, readings_count: int) -> None:
        ended = threading.Event()
        verdicts: list[ShadowVerdict] = []

        def end(verdict: ShadowVerdict) -> None:
            verdicts.append(verdict)
            ended.set()
            with self._changed:
                self._changed.notify_all()

        self._enter(RolloutState.SHADOW, shadow_readings_count=0)
        run = self._do.begin_shadow(choice, readings_count, end)
        try:
            while not ended.is_set():
                self._pause(PROGRESS_S, unless=ended.is_set)
                self._set(shadow_readings_count=run.compared_count)
        finally:
            run.dismiss()
        verdict = verdicts[0]
        if verdict.failure is not None:
            raise ShadowDisagrees(f"The model failed in the shadow: {verdict.failure}.")
        least = self._do.settings().min_agreement_ratio
        if verdict.agreement_ratio is None or verdict.agreement_ratio < least:
            shown = "no" if verdict.agreement_ratio is None else f"{100 * verdict.agreement_ratio:.1f} % of"
            raise ShadowDisagrees(
                f"It agreed with the model in use on {shown} {verdict.compared_count} readings; {100 * least:g} % are "
                "needed."
            )

    def _look_at_activation(self) -> None:
        """What became of the model that was activated."""
        wanted = self._record.desired
        if wanted is None or self._record.state is RolloutState.REFUSED:
            return
        if self._is_in_use(wanted):
            self._finish(RolloutState.ACTIVE)
        elif self._record.state is RolloutState.ACTIVE and not self._roll_back_of(wanted):
            # Another one was chosen on the device.
            self._enter(RolloutState.IDLE)

    def _roll_back_of(self, wanted: ModelDesired) -> bool:
        """Whether the model was activated and given up since, which is reported then."""
        active = self._read_activation()
        if active is None or active.rolled_back is None or active.id == self._record.before:
            return False
        back = active.rolled_back
        if back.choice != self._record.choice:
            return False
        what = f"The {wanted.kind} {wanted.name} {wanted.version} is no longer in use"
        error = ModelRolledBack(f"{what} ({back.reason}){'' if back.message is None else f': {back.message}'}")
        # Whoever gave it up has recorded the event.
        self._finish(RolloutState.ROLLED_BACK, error)
        return True

    def _read_activation(self) -> Active | None:
        try:
            return self._activation.read()
        except StateEntryInvalid:
            return None

    def _refuse(self, error: EdgeAgentError) -> None:
        """The end, until another message comes."""
        log.warning("%s", error)
        self._finish(RolloutState.REFUSED, error)
        wanted = self._record.desired
        self._do.record(
            EventKind.MODEL_REFUSED,
            error.message,
            code=error.code,
            model=None if wanted is None else wanted.name,
            model_version=None if wanted is None else wanted.version,
        )

    def _finish(self, state: RolloutState, error: EdgeAgentError | None = None) -> None:
        report = None if error is None else ErrorReport.from_error(error)
        if (self._record.state, self._record.error) != (state, report):
            self._keep_until_written(state=state, error=report, tests_count=0)
        self._enter(state, error=report)

    def _wait_to_try_again(self, error: EdgeAgentError) -> bool:
        """False if there were enough attempts, and it is refused. Raises ``_Superseded``."""
        count = self._record.failures_count + 1
        self._record = self._record.model_copy(update={"failures_count": count})
        # Nothing is lost if it cannot be written: it is counted from less after a restart.
        with contextlib.suppress(EdgeAgentError):
            self._file.write(self._record)
        if count >= self._do.settings().max_attempts_count:
            self._refuse(error)
            return False
        log.warning("%s", error)
        longest_s = min(self._do.settings().retry_s * 2 ** min(count - 1, 30), RETRY_MAX_S)
        pause_s = longest_s * random.uniform(0.6, 1)  # noqa: S311 - no secret: so that a fleet does not come back at once
        self._enter(
            RolloutState.WAITING,
            error=ErrorReport.from_error(error),
            failures_count=count,
            retry_at=datetime.now(UTC) + timedelta(seconds=pause_s),
        )
        self._pause(pause_s)
        return True

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Inside the block a model that nobody knows runs here: a process that ends in it is counted."""
        count = self._record.tests_count
        if count >= TESTS_MAX:
            raise RolloutInterrupted(f"The agent ended {count} times while it tested this model.")
        self._keep(tests_count=count + 1)
        try:
            yield
        finally:
            with contextlib.suppress(EdgeAgentError):
                self._keep(tests_count=count)

    def _enter(self, state: RolloutState, **changes: Any) -> None:  # noqa: ANN401 - the fields of the status
        """Report a state."""
        self._record_refused_messages()
        self._require_running()
        self._set(
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

    def _keep(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of the record
        """Change the record. Raises ``DiskFull`` or ``ModelStoreError``, and then nothing has changed."""
        record = self._record.model_copy(update=changes)
        self._file.write(record)
        self._record = record

    def _keep_until_written(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of the record
        """Change the record, however long the disk is full. Raises ``_Superseded``."""
        while True:
            try:
                self._keep(**changes)
            except EdgeAgentError as error:
                log.warning("%s", error)
                self._set(error=ErrorReport.from_error(error))
                self._pause(LOOK_S)
            else:
                return

    def _pause(self, seconds: float | None, *, unless: Callable[[], bool] = lambda: False) -> None:
        """Wait so long; None: until something else is wanted. Raises ``_Superseded`` then."""
        with self._changed:
            self._changed.wait_for(lambda: self._superseded or unless(), seconds)
        self._require_wanted()

    @property
    def _superseded(self) -> bool:
        return self._stopping or self._number != self._followed

    def _require_wanted(self) -> None:
        if self._superseded:
            raise _Superseded

    def _require_running(self) -> None:
        if self._stopping:
            raise _Superseded

    @contextlib.contextmanager
    def _cancelled_by(self, cancel: Callable[[], None]) -> Iterator[None]:
        """Inside the block ``cancel`` is called when something else is wanted."""
        with self._changed:
            self._require_wanted()
            self._cancel = cancel
        try:
            yield
        finally:
            with self._changed:
                self._cancel = None
