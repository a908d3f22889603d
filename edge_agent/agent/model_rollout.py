"""Connects a roll-out with the device that it happens on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from edge_agent.agent.model_control import ModelControl
from edge_agent.clock import clock_synchronised
from edge_agent.config import Config
from edge_agent.errors import ShadowDisagrees
from edge_agent.events.recorder import EventRecorder
from edge_agent.rollout import Choice, Rollout, RolloutOperations, ShadowRun, ShadowVerdict


def make_rollout(
    config: Callable[[], Config], models: ModelControl, events: EventRecorder, *, changed: Callable[[], None]
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
            begin_shadow=_begin_shadow,
            use=lambda choice: _use(models, choice),
            changed=changed,
            record=events.record,
            # Where the system does not say, the clock is believed.
            now=lambda: (datetime.now(UTC), clock_synchronised() is not False),
        ),
    )


def _use(models: ModelControl, choice: Choice) -> None:
    models.select(choice.bundle, choice.head)


def _begin_shadow(_choice: Choice, _count: int, _on_end: Callable[[ShadowVerdict], None]) -> ShadowRun:
    raise ShadowDisagrees("This agent cannot judge with two models.")
