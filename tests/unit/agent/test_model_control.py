"""The model in use and its trial, with an activation that is real and models that are scripted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from uuid_utils.compat import uuid7

from edge_agent.agent.model_control import ModelControl
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.config import Config
from edge_agent.contracts import EventKind, HeadIdentity, Outcome, Topics
from edge_agent.errors import BundleMissing, InferenceError
from edge_agent.events.recorder import EventRecorder
from edge_agent.rollout import Activation, Choice
from edge_agent.rollout.store import FOLDER
from edge_agent.spool import MemorySpool

DEMO = Choice(bundle="demo")


class Device:
    """Loads whatever is asked for but what is ``missing``."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.missing: set[str] = set()
        self.spool = MemorySpool(2**24)
        self.events = EventRecorder(folder, self.spool, Topics("clinic", "scope-1"), uuid7())
        self.config = Config.model_validate(
            {
                "device": {"site": "clinic", "id": "scope-1"},
                "camera": {"kind": "synthetic"},
                "analysis": {"bundle": "demo"},
                "models": {"max_failures_count": 2},
                "state": {"folder": folder},
            }
        )
        self.activation = Activation(folder / FOLDER)
        monkeypatch.setattr("edge_agent.agent.model_control.make_analyzer", self.load)

    def load(self, config: Config) -> Analyzer:
        name = config.analysis.bundle
        if name in self.missing:
            raise BundleMissing(f"There is no bundle '{name}'.")
        head: HeadIdentity | None = None
        return cast("Analyzer", SimpleNamespace(model=SimpleNamespace(name=name, version="1", sha256="0", head=head)))

    def start(self) -> ModelControl:
        return ModelControl(
            self.config,
            self.events,
            self.spool,
            changing=nullcontext,
            use=lambda _analyzer: None,
            wake=lambda: None,
        )

    def told(self, kind: EventKind) -> int:
        """How many such events were recorded since the last call."""
        count = 0
        while (message := self.spool.take(live=True)) is not None:
            count += json.loads(message.payload)["kind"] == kind
        return count


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    found = Device(tmp_path, monkeypatch)
    yield found
    found.events.close()


def failed(models: ModelControl) -> Reading:
    error = InferenceError("The model failed on a frame: it was told to.")
    reading: Any = SimpleNamespace(outcome=Outcome.FAILED, error=error, model=models.analyzer.model)
    return cast("Reading", reading)


def test_frames_on_which_a_model_failed_count_over_a_restart(device: Device) -> None:
    device.activation.activate(Choice(bundle="fast"), DEMO)
    for _ in range(2):
        models = device.start()
        assert models.choice.bundle == "fast"
        models.seen(failed(models))
        models.do_round()
        models.stop()
    assert models.choice == DEMO
    assert device.told(EventKind.MODEL_ROLLED_BACK) == 1


def test_a_model_that_fails_where_no_other_can_be_loaded_is_told_once_and_stays(device: Device) -> None:
    device.activation.activate(Choice(bundle="fast"), DEMO)
    models = device.start()
    device.missing.add("demo")
    for _ in range(2):
        models.seen(failed(models))
    for _ in range(3):
        models.do_round()
    assert models.choice.bundle == "fast"
    assert device.told(EventKind.MODEL_ROLLED_BACK) == 1
    models.stop()


def test_a_roll_back_to_what_cannot_be_loaded_is_told_once_and_the_model_in_use_stays(device: Device) -> None:
    device.activation.activate(Choice(bundle="fast"), DEMO)
    models = device.start()
    device.missing.add("demo")
    device.activation.roll_back(DEMO)
    for _ in range(3):
        models.do_round()
    assert models.choice.bundle == "fast"
    assert device.told(EventKind.MODEL_ROLLED_BACK) == 1


def test_a_choice_that_a_reload_has_ended_does_not_come_back_with_a_restart(device: Device) -> None:
    models = device.start()
    models.select("fast")
    before = device.config
    for config in (with_bundle(before, "accurate"), before):
        models.take(config, models.prepare(config))
        models.do_round()
        assert models.choice.bundle == config.analysis.bundle
    models.stop()
    assert device.start().choice == DEMO


def test_a_choice_that_a_restart_has_ended_does_not_come_back_with_the_next_one(device: Device) -> None:
    models = device.start()
    models.select("fast")
    models.stop()
    before = device.config
    device.config = with_bundle(before, "absent")
    device.missing.add("absent")
    # A slip, which ends nothing.
    with pytest.raises(BundleMissing):
        device.start()
    device.config = before
    models = device.start()
    assert models.choice.bundle == "fast"
    models.stop()
    device.config = with_bundle(before, "accurate")
    assert device.start().choice.bundle == "accurate"
    device.config = before
    assert device.start().choice == DEMO


def with_bundle(config: Config, bundle: str) -> Config:
    return config.model_copy(update={"analysis": config.analysis.model_copy(update={"bundle": bundle})})
