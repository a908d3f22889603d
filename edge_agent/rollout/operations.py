"""The operations of a roll-out on the device."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from edge_agent.contracts import ModelIdentity
from edge_agent.inference.classifier import Classifier
from edge_agent.rollout.activation import Choice
from edge_agent.rollout.rollout_settings import RolloutSettings
from edge_agent.rollout.store import ModelStore


class ShadowRun(Protocol):
    """A model that judges beside the one in use."""

    @property
    def compared_count(self) -> int:
        """Readings that both have judged."""
        ...

    def dismiss(self) -> None:
        """End the shadow run."""
        ...


@dataclass(frozen=True, slots=True)
class ShadowVerdict:
    """The result of a model's run in the shadow."""

    compared_count: int
    agreement_ratio: float | None
    failure: str | None
    """Why the run ended early; None if the model judged as many readings as requested."""


@dataclass(frozen=True, slots=True)
class RolloutOperations:
    """The functions through which a roll-out acts. Called in its thread, unless stated otherwise."""

    settings: Callable[[], RolloutSettings]
    """The settings in force."""
    store: Callable[[], ModelStore]
    """Where models are installed, under the settings in force."""
    place: Callable[[], tuple[str, str]]
    """Site and id of the device."""
    model: Callable[[], ModelIdentity]
    """The model in use."""
    chosen: Callable[[], Choice]
    """The choice of that model."""
    load: Callable[[Choice], Classifier]
    """Load and verify a choice, for this thread alone."""
    begin_shadow: Callable[[Choice, int, Callable[[ShadowVerdict], None]], ShadowRun]
    """Judge this many readings beside the model in use. Calls back once, in any thread, unless dismissed."""
    use: Callable[[Choice], None]
    """Activate a choice and read with it from the next frame on."""
    changed: Callable[[], None]
    """The status has changed. Called in any thread; must not wait."""
    record: Callable[..., None]
    """Record an event: kind, message, code and details."""
    now: Callable[[], tuple[datetime, bool]]
    """The time, and whether it can be relied upon. Called in any thread."""
    free_bytes_of: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
