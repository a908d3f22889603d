"""A lamp that grows darker under a real agent: reported in health while the fields are still answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from edge_agent.agent import factory
from edge_agent.cameras.frame import Frame, Pixels
from edge_agent.cameras.settings import SyntheticSettings
from edge_agent.cameras.synthetic import SyntheticCamera
from edge_agent.contracts import Check, CheckState, Health, Outcome
from edge_agent.monitoring import drift, monitor
from tests.agents import configuration, running
from tests.integration.test_agent import result
from tests.mqtt import Subscriber
from trainer.augmentation.optics import brighten

WINDOW_COUNT = 12
JUDGED = {Outcome.CLASSIFIED, Outcome.ABSTAINED}


class Dimmed(SyntheticCamera):
    """A drawn smear under a lamp that a test turns down."""

    def __init__(self, dim: threading.Event) -> None:
        super().__init__(
            SyntheticSettings(
                kind="synthetic",
                bad_fields_ratio=0,
                frames_per_field_count=3,
                frame_rate_hz=200,
                width_px=320,
                height_px=240,
            )
        )
        self._dim = dim

    def read(self) -> Frame:
        found = super().read()
        assert isinstance(found.image, Pixels)
        if not self._dim.is_set():
            return found
        return replace(found, image=Pixels(brighten(found.image.array, 0.94), found.image.order))


def model_check(subscriber: Subscriber, found: Callable[[Check], bool]) -> Check:
    """The check of the model, once it is as wanted in health."""
    while True:
        health = subscriber.next("health").body()
        assert isinstance(health, Health)
        check = next(each for each in health.checks if each.name == "model")
        if found(check):
            return check


def test_it_is_said_before_fields_are_refused(
    broker_port: int, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "TICK_S", 0.05)
    monkeypatch.setattr(factory, "APPEARANCE_INTERVAL_S", 0.0)
    monkeypatch.setattr(drift, "WINDOW_COUNT", WINDOW_COUNT)
    dim = threading.Event()
    with running(configuration(broker_port), camera=lambda: Dimmed(dim)):
        assert model_check(subscriber, lambda check: check.state is not CheckState.UNKNOWN).state is CheckState.OK
        dim.set()
        check = model_check(subscriber, lambda check: check.state is CheckState.DEGRADED)
        assert check.code == "model_drift"
        assert check.message is not None
        assert "The background is darker than in the training images." in check.message
        # Earlier readings have gone by; these are dim, and still answered unless the stage was moving.
        judged = [each for each in (result(subscriber).outcome for _ in range(3 * WINDOW_COUNT)) if each in JUDGED]
        assert judged.count(Outcome.CLASSIFIED) > 0.8 * len(judged)
