"""The running agent as the microscope page sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_agent import __version__
from edge_agent.acquisition.frame_requests import FrameRequest
from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.adaptation.adaptation import Adaptation
from edge_agent.agent.model_options import model_options
from edge_agent.collection.collection import Collection
from edge_agent.config import Config
from edge_agent.contracts import Check
from edge_agent.mqtt import Request
from edge_agent.specimens.archive import ReportArchive
from edge_agent.web.device import DeviceState, ModelInUse, ModelOption, Problem, ShadowState

if TYPE_CHECKING:
    from edge_agent.agent.agent import Agent

STALE_LEAST_S = 10.0
STALE_READINGS = 3


class PageDevice:
    """What the page may see of the agent, and do with it."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._models: tuple[tuple[Config, object], tuple[ModelOption, ...]] | None = None

    @property
    def collection(self) -> Collection:
        """Frames that are kept, and their labels."""
        return self._agent.collection

    @property
    def adaptation(self) -> Adaptation:
        """Fits heads to what was labelled here."""
        return self._agent.adaptation

    @property
    def reports(self) -> ReportArchive:
        """The reports of finished slides."""
        return self._agent.reports

    @property
    def analysing(self) -> bool:
        """Whether a frame is being analysed at this moment."""
        return self._agent.reading.analysing

    def state(self) -> DeviceState:
        """The state now."""
        agent = self._agent
        config, status, spool = agent.config, agent.status, agent.spool.stats()
        model = agent.model
        return DeviceState(
            device=config.device.id,
            site=config.device.site,
            software=__version__,
            session=agent.session,
            at=datetime.now(UTC),
            paused=status.paused,
            streaming=status.streaming,
            safe_mode=False,
            problems=self._problems(),
            trigger=config.trigger.mode,
            stale_after_s=stale_after_s(config.trigger),
            readings_count=agent.counts.readings_count,
            waiting_count=spool.waiting_count + spool.in_flight_count,
            model=model.name,
            model_version=model.version,
            demonstration=agent.demonstration,
            provisional=agent.provisional,
            in_use=self._in_use(),
            models=self._options(config),
            quality_limits=config.quality.model_dump(),
            shadow=self._shadow(),
            slide=agent.open_slide,
        )

    def _problems(self) -> tuple[Problem, ...]:
        agent = self._agent
        checks = agent.status.problems(agent.publisher.broker)
        if agent.collection.error is not None:
            checks = (*checks, Check.from_error("collection", agent.collection.error))
        return tuple(
            Problem(part=check.name, code=check.code or "", message=check.message or "", remedy=check.remedy)
            for check in checks
        )

    def _shadow(self) -> ShadowState | None:
        shadowing = self._agent.shadowing
        figures = shadowing.figures
        if figures is not None:
            return ShadowState(figures=figures, end=None, last_failure=None)
        last = shadowing.last
        return None if last is None else ShadowState(figures=last.figures, end=last.end, last_failure=last.last_failure)

    def _in_use(self) -> ModelInUse:
        models = self._agent.models
        choice, active = models.choice, models.active
        on_trial = active is not None and active.trial is not None
        return ModelInUse(bundle=models.bundle_reference, head=choice.head, on_trial=on_trial)

    def _options(self, config: Config) -> tuple[ModelOption, ...]:
        # Verifying them reads every file, so it is done once for each configuration and change of what is installed.
        store = self._agent.models.store
        key = config, store.version
        if self._models is None or self._models[0] != key:
            self._models = key, model_options(config, store)
        return self._models[1]

    def submit(self, request: Request, reply: Callable[[bytes], None], *, by: str) -> None:
        """Carry out a command that ``by`` sent."""
        self._agent.submit(request, reply, by=by)

    def record_failed_logins(self, count: int) -> None:
        """Wrong passwords or tokens were tried ``count`` times."""
        self._agent.record_failed_logins(count)

    def look_on(self) -> FrameRequest:
        """See the frames that pass from now on. Raises ``AgentPaused``."""
        return self._agent.reading.look_on()

    def look_away(self, request: FrameRequest) -> None:
        """End that request."""
        self._agent.reading.look_away(request)


def stale_after_s(trigger: TriggerSettings) -> float | None:
    """From which age the latest reading is old; None where a field may rest, or is read on request."""
    if trigger.mode != "continuous":
        return None
    return max(STALE_LEAST_S, STALE_READINGS * trigger.interval_s)
