"""Decides which model the agent reads with: the configured one, or what was activated on the device.

A newly activated model is on trial. If it fails on too many frames, or the agent does not end in order meanwhile, the
one before is used again. What was activated by a command in another process is noticed within seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from pydantic import BaseModel

from edge_agent.agent.factory import make_analyzer, make_classifier
from edge_agent.agent.speed_tests import SpeedTests
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.analysis.settings import AUTO
from edge_agent.analysis.speed_choice import SpeedChoice
from edge_agent.config import Config
from edge_agent.contracts import EventKind, ModelIdentity, Outcome
from edge_agent.errors import AnalysisError, EdgeAgentError, InferenceError, RuntimeMissing, StateEntryInvalid
from edge_agent.events.recorder import EventRecorder
from edge_agent.inference import Classifier
from edge_agent.rollout import Activation, Active, Choice, ModelKind, ModelStore
from edge_agent.rollout.activation import RollBackReason
from edge_agent.rollout.store import FOLDER
from edge_agent.spool import Spool, read_state_entry

log = logging.getLogger(__name__)

STATE_KEY = "model-choice"
"""Where agents before 0.3 kept the choice of a bundle."""

_FAILURES = {InferenceError.code, AnalysisError.code}
"""Codes of failed readings that the model is to blame for, rather than the image."""


class _OldChoice(BaseModel):
    """What those agents kept."""

    configured: str
    chosen: str


class ModelControl:
    """The model in use and its trial. ``seen`` belongs to the inference thread; any thread may call the others."""

    def __init__(
        self,
        config: Config,
        events: EventRecorder,
        spool: Spool,
        *,
        changing: Callable[[], AbstractContextManager[None]],
        use: Callable[[Analyzer], None],
        wake: Callable[[], None],
    ) -> None:
        """Load the model, or the one before if this one cannot be used.

        While ``changing()`` lasts, nobody else changes what is read; ``use`` reads with another analyzer from the next
        frame on; ``wake`` asks for a call of ``do_round`` soon. None of them is called here. Raises what
        ``make_analyzer`` does if not even the configured model can be used.
        """
        self._config = config
        self._events = events
        self._changing = changing
        self._use = use
        self._wake = wake
        folder = config.state.folder / FOLDER
        self._activation = Activation(folder)
        self.store = ModelStore(folder, config.models)
        self._speed_tests = SpeedTests()
        self._failures_count = 0
        self._began_at_s = time.monotonic()
        self._clean()
        self._adopt_old_choice(spool)
        self._active, self.analyzer = self._start()
        self._failures_count = _failures_count(self._active)
        self._forget_other()
        self._version = self._activation.version

    @property
    def choice(self) -> Choice:
        """What is in use."""
        return configured_choice(self._config) if self._active is None else self._active.chosen

    @property
    def bundle_reference(self) -> str:
        """The bundle in use, by the name under which it can be activated."""
        chosen = self.choice.bundle
        return self.apply(self._config).analysis.bundle if chosen == AUTO else chosen

    @property
    def activation(self) -> Activation:
        """Which model is activated, as a file."""
        return self._activation

    @property
    def active(self) -> Active | None:
        """What was activated, and its trial; None if the configured model is used."""
        return self._active

    @property
    def speed(self) -> SpeedChoice | None:
        """How bundle and threads in use were chosen; None if both are named by the configuration or a command."""
        return self._speed_tests.choice(self._applied(self._config, self._active))

    def apply(self, config: Config) -> Config:
        """``config`` with what was activated for it, and chosen where it says ``auto``. Raises as ``make_analyzer``."""
        return self._speed_tests.settle(self._applied(config, self._active))

    def prepare(self, config: Config) -> tuple[Active | None, Analyzer]:
        """What would be read with if ``config`` were in force; see ``take``. Raises as ``make_analyzer`` does."""
        active = self._active if self._active and self._active.configured == configured_choice(config) else None
        return active, self._make(self._applied(config, active))

    def take(self, config: Config, prepared: tuple[Active | None, Analyzer]) -> None:
        """``config`` is in force now, with what was prepared for it."""
        if prepared[0] is not self._active:
            # A trial that the new configuration interrupts has not failed.
            self.stop()
            self._failures_count = 0
        self._config = config
        self.store = ModelStore(config.state.folder / FOLDER, config.models)
        self._active, self.analyzer = prepared
        self._forget_other()

    def select(self, bundle: str, head: str | None = None) -> ModelIdentity:
        """Read with another installed bundle and head, also after a restart, until the configuration names another.

        Raises ``ModelUnknown``, or what ``make_analyzer`` does if it cannot be used: the one in use stays.
        """
        with self._changing():
            choice = self._known(bundle, head)
            analyzer = self._make(self._with(self._config, choice))
            active = self._activation.activate(choice, configured_choice(self._config))
            self._switch(active, analyzer)
            self._record_model(EventKind.CONFIGURED, "was chosen")
            return analyzer.model

    def load(self, choice: Choice) -> Classifier:
        """Another instance of a choice, for one thread alone. Raises ``ModelUnknown``, and as ``make_classifier``."""
        return make_classifier(self._beside(self._with(self._config, choice)))

    def candidate(self, bundle: str, head: str | None = None) -> Analyzer:
        """Load another installed bundle and head, and change nothing. Raises as ``select`` does.

        No cells bundle is beside it: what a candidate says of cells would be of no use.
        """
        config = self._beside(self._with(self._config, self._known(bundle, head)))
        alone = config.analysis.model_copy(update={"cells_bundle": None})
        return make_analyzer(config.model_copy(update={"analysis": alone}))

    def roll_back(self) -> ModelIdentity:
        """Read with the model before. Raises ``ModelNoPrevious``."""
        with self._changing():
            self._go_back(RollBackReason.ASKED, None)
            return self.analyzer.model

    def seen(self, reading: Reading) -> None:
        """Count a reading on which the model failed."""
        active = self._active
        if active is None or active.trial is None or reading.outcome is not Outcome.FAILED:
            return
        if reading.error is None or reading.error.code not in _FAILURES or reading.model != self.analyzer.model:
            return
        self._failures_count += 1
        if self._failures_count >= self._config.models.max_failures_count:
            self._wake()

    def do_round(self) -> None:
        """End the trial if it is time, one way or the other, and notice what another process activated."""
        try:
            if self._activation.version != self._version:
                with self._changing():
                    self._follow()
            active = self._active
            if active is None or active.trial is None:
                return
            if self._failures_count >= self._config.models.max_failures_count:
                with self._changing():
                    self._go_back(RollBackReason.FAILED, None)
            elif active.trial.ran_s + self._ran_s() >= self._config.models.trial_minutes * 60:
                with self._changing():
                    self._confirm(active)
        except EdgeAgentError as error:
            # Such as a full disk: the model in use stays, and the next round tries again.
            log.warning("the model's trial cannot be recorded: %s", error)

    def stop(self) -> None:
        """The agent ends in order."""
        active = self._active
        if active is None or active.trial is None:
            return
        try:
            self._activation.end(active.id, failures_count=self._failures_count, ran_s=self._ran_s())
        except EdgeAgentError as error:
            log.warning("the model's trial cannot be recorded: %s", error)

    def _clean(self) -> None:
        try:
            count = self.store.clean()
        except EdgeAgentError as error:
            log.warning("what killed processes left beside the models cannot be deleted: %s", error)
        else:
            if count:
                log.info("deleted %d leftovers of killed processes beside the models", count)

    def _adopt_old_choice(self, spool: Spool) -> None:
        """Keep the choice of an agent before this one, which an upgrade must not change."""
        found = read_state_entry(spool, STATE_KEY, _OldChoice.model_validate_json, on_invalid=self._record_ignored)
        if found is None:
            return
        try:
            if self._activation.version is None:
                configured = configured_choice(self._config).model_copy(update={"bundle": found.configured})
                self._activation.adopt(Choice(bundle=found.chosen), configured)
            spool.write_state_entries({STATE_KEY: None})
        except EdgeAgentError as error:
            log.warning("the choice of a bundle cannot be kept in its new place: %s", error)

    def _start(self) -> tuple[Active | None, Analyzer]:
        active = self._begin()
        try:
            return self._load(active)
        except EdgeAgentError:
            # Nothing can be loaded, such as without a runtime, so this start says nothing of the one on trial.
            if active is not None and active.trial is not None:
                self._activation.end(active.id, failures_count=0, ran_s=0)
            raise

    def _forget_other(self) -> None:
        """The configured model can be loaded, so the configuration is not a slip that is put right in a moment.

        Otherwise a restart would use what was activated again once the configuration names what it did before.
        """
        try:
            self._activation.forget_other(configured_choice(self._config))
        except EdgeAgentError as error:
            log.warning("what was activated for another configuration cannot be forgotten: %s", error)

    def _begin(self) -> Active | None:
        """What to load, its start counted."""
        configured = configured_choice(self._config)
        try:
            before = self._activation.version
            active = self._activation.begin(configured)
        except StateEntryInvalid as error:
            self._record_ignored(error)
            return None
        except EdgeAgentError as error:
            # Its start cannot be counted, so a crash would not be noticed: nothing on trial is loaded then.
            log.warning("the model's trial cannot be recorded: %s", error)
            return self._proven(configured)
        if active is not None and self._activation.version != before and active.rolled_back is not None:
            self._record_rolled_back(active)
        return active

    def _proven(self, configured: Choice) -> Active | None:
        try:
            active = self._activation.read()
        except EdgeAgentError:
            return None
        if active is None or active.configured != configured:
            return None
        if active.trial is None:
            return active
        return active.model_copy(update={"chosen": active.previous or configured, "trial": None})

    def _load(self, active: Active | None) -> tuple[Active | None, Analyzer]:
        """Load what is active, else what was before, else what is configured."""
        while active is not None and active.chosen != active.configured:
            try:
                return active, self._make(self._applied(self._config, active))
            except RuntimeMissing:
                raise
            except EdgeAgentError as error:
                try:
                    active = self._activation.roll_back(active.configured, RollBackReason.UNUSABLE, error)
                except EdgeAgentError as unwritable:
                    log.warning("the roll-back cannot be recorded: %s", unwritable)
                    active = None
                self._record_unusable(error)
        return active, self._make(self._config)

    def _known(self, bundle: str, head: str | None) -> Choice:
        """The choice by its full names. Raises ``ModelUnknown``: a command must not make the device read any folder."""
        configured = configured_choice(self._config)
        if bundle != configured.bundle:
            bundle = self.store.full_name(ModelKind.BUNDLE, bundle)
        if head is not None and head != configured.head:
            head = self.store.full_name(ModelKind.HEAD, head)
        return Choice(bundle=bundle, head=head)

    def _follow(self) -> None:
        """Use what another process activated."""
        configured = configured_choice(self._config)
        self._version = self._activation.version
        try:
            active = self._activation.read()
        except StateEntryInvalid as error:
            self._record_ignored(error)
            active = None
        if active is not None and active.configured != configured:
            active = None
        if (configured if active is None else active.chosen) == self.choice:
            self._active = active
            return
        if active is not None and active.trial is not None:
            self._activation.started(active.id)
        try:
            analyzer = self._make(self._applied(self._config, active))
        except EdgeAgentError as error:
            in_use = self.choice
            back = self._activation.roll_back(configured, RollBackReason.UNUSABLE, error)
            self._record_unusable(error)
            if back.chosen != in_use:
                self._switch_back(back)
            else:
                self._active, self._version = back, self._activation.version
            return
        self._switch(active, analyzer)
        self._record_model(EventKind.CONFIGURED, "was activated on the device")

    def _go_back(self, reason: RollBackReason, error: EdgeAgentError | None) -> None:
        active = self._activation.roll_back(configured_choice(self._config), reason, error)
        self._record_rolled_back(active)
        self._switch_back(active)

    def _switch_back(self, back: Active) -> None:
        """Read with what was used before. If that cannot be loaded, the model in use stays, and its trial is over."""
        try:
            loaded = self._load(back)
        except EdgeAgentError:
            # Otherwise the next round would go back once more, and each one after it.
            if self._active is not None:
                self._active = self._active.model_copy(update={"trial": None})
            self._version = self._activation.version
            raise
        self._switch(*loaded)

    def _confirm(self, active: Active) -> None:
        self._activation.confirm(active.id)
        self._active = active.model_copy(update={"trial": None})
        self._version = self._activation.version
        self._record_model(EventKind.MODEL_CONFIRMED, "has proved itself and stays")

    def _switch(self, active: Active | None, analyzer: Analyzer) -> None:
        """Read with another analyzer from now on."""
        if active is not None and active.trial is not None:
            self._activation.started(active.id)
        self._active, self.analyzer = active, analyzer
        self._version = self._activation.version
        self._failures_count = _failures_count(active)
        self._began_at_s = time.monotonic()
        self._use(analyzer)

    def _make(self, config: Config) -> Analyzer:
        return make_analyzer(self._speed_tests.settle(config))

    def _beside(self, config: Config) -> Config:
        """``config`` for a model beside the one in use: a test would be slowed down by the readings, and slow them."""
        return self._speed_tests.settle_as(config, self._applied(self._config, self._active))

    def _ran_s(self) -> float:
        return time.monotonic() - self._began_at_s

    def _applied(self, config: Config, active: Active | None) -> Config:
        if active is None or active.configured != configured_choice(config):
            return config
        return self._with(config, active.chosen)

    def _with(self, config: Config, choice: Choice) -> Config:
        """``config`` with another bundle and head. Raises ``ModelUnknown``."""
        configured = configured_choice(config)
        bundle, head = config.analysis.bundle, config.analysis.head
        if choice.bundle != configured.bundle:
            bundle = str(self.store.locate(ModelKind.BUNDLE, choice.bundle))
        if choice.head != configured.head:
            head = None if choice.head is None else Path(self.store.locate(ModelKind.HEAD, choice.head))
        analysis = config.analysis.model_copy(update={"bundle": bundle, "head": head})
        return config.model_copy(update={"analysis": analysis})

    def _record_model(self, kind: EventKind, what: str) -> None:
        model = self.analyzer.model
        head = model.head
        self._events.record(
            kind,
            f"{_describe(model)} {what}.",
            model=model.name,
            model_version=model.version,
            model_sha256=model.sha256,
            head=None if head is None else head.name,
            head_version=None if head is None else head.version,
            head_sha256=None if head is None else head.sha256,
        )

    def _record_rolled_back(self, active: Active) -> None:
        found = active.rolled_back
        if found is not None:
            self._events.record(
                EventKind.MODEL_ROLLED_BACK,
                f"The model {found.choice} is no longer used, but {active.chosen}: it {_WHY[found.reason]}.",
                code=found.code,
                reason=found.reason,
            )

    def _record_unusable(self, error: EdgeAgentError) -> None:
        self._events.record(
            EventKind.MODEL_ROLLED_BACK,
            "The chosen model cannot be used; the one before is.",
            code=error.code,
            problem=error.message,
            reason=RollBackReason.UNUSABLE,
        )

    def _record_ignored(self, error: StateEntryInvalid) -> None:
        self._events.record(
            EventKind.STATE_IGNORED,
            "What was activated on the device could not be read; the configured model is used.",
            code=error.code,
            problem=error.message,
        )


_WHY = {
    RollBackReason.UNUSABLE: "cannot be used",
    RollBackReason.FAILED: "failed on too many frames",
    RollBackReason.CRASHED: "was on trial when the agent did not end in order",
    RollBackReason.ASKED: "was taken back",
}


def configured_choice(config: Config) -> Choice:
    """The bundle and head that the configuration names."""
    return Choice.of(config.analysis.bundle, config.analysis.head)


def _failures_count(active: Active | None) -> int:
    """On how many frames the model on trial failed in runs that have ended: the trial goes on over a restart."""
    return 0 if active is None or active.trial is None else active.trial.failures_count


def _describe(model: ModelIdentity) -> str:
    bundle = f"The bundle {model.name} {model.version}"
    return bundle if model.head is None else f"{bundle} with the head {model.head.name} {model.head.version}"
