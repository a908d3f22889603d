"""Connects a roll-out with the device that it happens on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from edge_agent.agent.model_control import ModelControl
from edge_agent.agent.shadowing import Shadowing
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.clock import clock_synchronised
from edge_agent.config import Config
from edge_agent.events.recorder import EventRecorder
from edge_agent.rollout import Choice, Rollout, RolloutOperations, ShadowVerdict
from edge_agent.shadow.shadow import ShadowEnd, ShadowSummary


def make_rollout(
    config: Callable[[], Config],
    models: ModelControl,
    shadowing: Shadowing,
    events: EventRecorder,
    *,
    changed: Callable[[], None],
) -> Rollout:
    """The roll-out of models on this device, not started. ``changed`` is called in any thread, and must not wait."""
    return Rollout(
        models.store.folder,
        models.activation,
        RolloutOperations(
            settings=lambda: config().rollout,
            store=lambda: models.store,
            place=lambda: (config().device.site, config().device.id),
            model=lambda: models.analyzer.model,
            chosen=lambda: models.choice,
            load=models.load,
            begin_shadow=lambda choice, count, on_end: _ShadowRun(
                shadowing, models.candidate(choice.bundle, choice.head), count, on_end
            ),
            use=lambda choice: _use(models, choice),
            changed=changed,
            record=events.record,
            # Where the system does not say, the clock is believed.
            now=lambda: (datetime.now(UTC), clock_synchronised() is not False),
        ),
    )


def _use(models: ModelControl, choice: Choice) -> None:
    models.select(choice.bundle, choice.head)


class _ShadowRun:
    """The candidate of a roll-out, as long as no other takes its place."""

    def __init__(
        self, shadowing: Shadowing, analyzer: Analyzer, readings_count: int, on_end: Callable[[ShadowVerdict], None]
    ) -> None:
        self._shadowing = shadowing
        self._model = analyzer.model
        shadowing.judge(analyzer, readings_count, lambda summary: on_end(_verdict(summary)))

    @property
    def compared_count(self) -> int:
        """See ``ShadowRun``."""
        figures = self._shadowing.figures
        return figures.compared_count if figures is not None and figures.model == self._model else 0

    def dismiss(self) -> None:
        """See ``ShadowRun``."""
        figures = self._shadowing.figures
        if figures is not None and figures.model == self._model:
            self._shadowing.command(None, None)


def _verdict(summary: ShadowSummary) -> ShadowVerdict:
    failure = None
    if summary.end is not ShadowEnd.ENOUGH:
        failure = summary.last_failure or f"its comparison was ended ({summary.end})"
    return ShadowVerdict(summary.figures.compared_count, summary.figures.agreement_ratio, failure)
