"""One attempt to bring a model into use: download, install, self-test, shadow, activate."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from pathlib import Path

from edge_agent.contracts import HeadManifest
from edge_agent.contracts.rollout import ModelDesired, ModelKind, RolloutState
from edge_agent.errors import (
    ConfigError,
    DiskFull,
    DiskLow,
    DownloadFailed,
    EdgeAgentError,
    FileUnusable,
    ModelMismatch,
    ModelStoreError,
    ShadowDisagrees,
)
from edge_agent.rollout.activation import Activation, Choice
from edge_agent.rollout.desired import require_no_downgrade
from edge_agent.rollout.download import Download, DownloadLimits
from edge_agent.rollout.inbox import Inbox, Superseded
from edge_agent.rollout.operations import RolloutOperations, ShadowVerdict
from edge_agent.rollout.progress import Progress
from edge_agent.rollout.record import Installed
from edge_agent.rollout.self_test import self_test
from edge_agent.rollout.settings import Origin
from edge_agent.rollout.store import InstalledModel
from edge_agent.rollout.transfer import Cancelled

log = logging.getLogger(__name__)

PROGRESS_S = 2.0
"""How often the progress of a download is published."""
LOOK_S = 60.0
"""Longest wait for a moment of the wall clock, which may be set meanwhile."""

TRANSIENT = (DownloadFailed, DiskFull, DiskLow, FileUnusable, ConfigError, ModelStoreError)
"""Errors after which another attempt may succeed; any other error would only happen again."""


class Attempt:
    """The steps to the activation. Each can be repeated without harm, and continues from its earlier result."""

    def __init__(
        self, downloads: Path, activation: Activation, operations: RolloutOperations, inbox: Inbox, progress: Progress
    ) -> None:
        """``downloads`` is the folder of downloaded archives."""
        self._downloads = downloads
        self._activation = activation
        self._do = operations
        self._inbox = inbox
        self._progress = progress

    def run(self, wanted: ModelDesired) -> None:
        """Do all steps. Raises ``EdgeAgentError``, ``Superseded``."""
        self._progress.note_used(self._do.model())
        require_no_downgrade(wanted, self._progress.record.highest)
        self._wait_for_turn(wanted)
        model = self._find_installed(wanted)
        if model is None:
            archive = self._download(wanted)
            self._progress.enter(RolloutState.VERIFYING)
            with self._progress.counted_test():
                model = self._install(wanted, archive)
        choice = self._choice(model)
        with self._progress.counted_test():
            self._progress.enter(RolloutState.SELF_TEST)
            settings = self._do.settings()
            self_test(
                self._do.load(choice),
                self._do.load(self._do.chosen()),
                max_slowdown_ratio=settings.max_slowdown_ratio,
                fast_enough_ms=settings.fast_enough_ms,
            )
            if wanted.shadow_readings_count is not None:
                self._judge_in_shadow(choice, wanted.shadow_readings_count)
        self._inbox.require_wanted()
        active = self._activation.read_or_none()
        self._progress.keep(choice=choice, before=None if active is None else active.id)
        self._do.use(choice)

    def _wait_for_turn(self, wanted: ModelDesired) -> None:
        if wanted.wave is not None and not wanted.wave.includes(*self._do.place()):
            self._progress.report(takes_part=False)
            self._inbox.pause(None)
        while wanted.not_before is not None:
            left_s = (wanted.not_before - self._do.now()[0]).total_seconds()
            if left_s <= 0:
                return
            self._progress.report(retry_at=wanted.not_before)
            self._inbox.pause(min(left_s, LOOK_S))

    def _find_installed(self, wanted: ModelDesired) -> InstalledModel | None:
        installed = self._progress.record.installed
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
                self._inbox.record_refused_messages()
                self._progress.report(received_bytes=received_bytes, size_bytes=size_bytes)

        self._progress.enter(RolloutState.DOWNLOADING, received_bytes=0)
        download = Download(self._downloads, limits, on_progress=progress, free_bytes_of=self._do.free_bytes_of)
        with self._inbox.cancelled_by(download.cancel):
            try:
                return download.fetch(wanted.source, wanted.sha256)
            except Cancelled as error:
                raise Superseded from error

    def _install(self, wanted: ModelDesired, archive: Path) -> InstalledModel:
        try:
            model = self._do.store().install(archive, Origin.REMOTE)
        except TRANSIENT:
            # Keep the archive for the next attempt.
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
        self._progress.keep(installed=Installed(sha256=wanted.sha256, reference=model.reference))
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
            self._inbox.wake()

        self._progress.enter(RolloutState.SHADOW, shadow_readings_count=0)
        run = self._do.begin_shadow(choice, readings_count, end)
        try:
            while not ended.is_set():
                self._inbox.pause(PROGRESS_S, unless=ended.is_set)
                self._progress.report(shadow_readings_count=run.compared_count)
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
