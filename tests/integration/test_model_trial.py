"""A running agent, and the fate of a model that was activated on it."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.agent import Agent, PageDevice
from edge_agent.analysis.reading import Reading
from edge_agent.config import Config
from edge_agent.contracts import Event, EventKind, Outcome, Result
from edge_agent.errors import InferenceError
from edge_agent.inference import Classifier
from edge_agent.rollout import Activation, Choice
from edge_agent.rollout.store import FOLDER
from tests.agents import configuration, running
from tests.heads import write_head
from tests.integration.test_page_device import bundle_of, order
from tests.mqtt import PATIENCE_S, Subscriber

DEMO = Choice(bundle="demo")


class Results:
    """The results of an agent in this process, in order."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self.seen: list[Result] = []

    def __call__(self, result: Result, _reading: Reading) -> None:
        self._waiting.put(result)

    def until(self, right: Callable[[Result], bool]) -> Result:
        due_at_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < due_at_s:
            self.seen.append(found := self._waiting.get(timeout=PATIENCE_S))
            if right(found):
                return found
        pytest.fail("no such result came")


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Results:
    # An agent looks for changes every few seconds, which is too slow for a test.
    monkeypatch.setattr("edge_agent.monitoring.monitor.TICK_S", 0.05)
    return Results()


def event(subscriber: Subscriber, kind: EventKind) -> Event:
    bodies: Iterator[Event] = iter(lambda: subscriber.next("event").body(), None)
    return next(each for each in bodies if each.kind is kind)


def activation_of(config: Config) -> Activation:
    return Activation(config.state.folder / FOLDER)


def of(name: str) -> Callable[[Result], bool]:
    return lambda result: result.model is not None and result.model.name == name


def fail_with(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on the model of this name fails on every frame."""
    classify = Classifier.classify

    def fail(self: Classifier, image: object) -> object:
        if self.manifest.name == name:
            raise InferenceError("The model failed on a frame: it was told to.")
        return classify(self, image)  # type: ignore[arg-type]  # it stands in for a method

    monkeypatch.setattr(Classifier, "classify", fail)


def test_what_another_process_activates_is_read_with_and_no_frame_is_missed(
    broker_port: int, results: Results, subscriber: Subscriber
) -> None:
    config = configuration(broker_port)
    with running(config, on_result=results) as agent:
        results.until(of("demo"))
        activation_of(config).activate(Choice(bundle="fast"), DEMO)
        results.until(of("fast"))
        in_use = PageDevice(agent).state().in_use
        assert in_use is not None
        assert (in_use.bundle, in_use.on_trial) == ("fast", True)
        activation_of(config).roll_back(DEMO)
        results.until(of("demo"))
    assert [each.seq for each in results.seen] == list(range(len(results.seen)))
    assert not any(each.outcome is Outcome.FAILED for each in results.seen)
    event(subscriber, EventKind.CONFIGURED)


def test_a_model_that_fails_on_frames_goes_back_by_itself(
    broker_port: int, results: Results, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, "fast")
    config = configuration(broker_port, models={"max_failures_count": 2})
    with running(config, on_result=results) as agent:
        agent.models.select("fast")
        results.until(of("fast"))
        back = results.until(of("demo"))
        assert back.outcome is not Outcome.FAILED
        told = event(subscriber, EventKind.MODEL_ROLLED_BACK)
        assert told.details["reason"] == "failed"
        assert "fast" in told.message
    with running(config) as agent:
        assert bundle_of(agent) == "demo"


def test_pictures_that_cannot_be_read_are_not_the_fault_of_the_model(
    broker_port: int, results: Results, tmp_path: Path
) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(b"no picture")
    config = configuration(
        broker_port, camera={"kind": "folder", "path": str(tmp_path)}, models={"max_failures_count": 1}
    )
    activation_of(config).activate(Choice(bundle="fast"), DEMO)
    with running(config, on_result=results) as agent:
        for _ in range(5):
            assert results.until(lambda _result: True).outcome is Outcome.FAILED
        agent.models.do_round()
        assert bundle_of(agent) == "fast"


def test_after_its_trial_a_model_stays_whatever_happens(
    broker_port: int, results: Results, subscriber: Subscriber
) -> None:
    config = configuration(broker_port, models={"trial_minutes": 0.001})
    with running(config, on_result=results) as agent:
        agent.models.select("fast")
        results.until(of("fast"))
        assert event(subscriber, EventKind.MODEL_CONFIRMED).details["model"] == "fast"
        active = activation_of(config).read()
        assert active is not None
        assert active.trial is None
    activation_of(config).begin(DEMO)
    with running(config) as agent:
        assert bundle_of(agent) == "fast"


RUN = """
import sys
from edge_agent.agent import Agent
from edge_agent.config import load_config
agent = Agent(load_config(sys.argv[1]), on_result=lambda result, _: print(result.model.name, flush=True))
agent.start()
agent.wait()
"""


def test_an_agent_that_is_killed_on_trial_starts_with_the_model_before(
    broker_port: int, subscriber: Subscriber, tmp_path: Path
) -> None:
    config = configuration(broker_port)
    file = tmp_path / "agent.toml"
    file.write_text(
        f'[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n[analysis]\nbundle = "demo"\n'
        f'[mqtt]\nhost = "localhost"\nport = {broker_port}\n[state]\nfolder = "{config.state.folder}"\n'
    )
    activation_of(config).activate(Choice(bundle="fast"), DEMO)
    with subprocess.Popen([sys.executable, "-c", RUN, file], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "fast\n"
        finally:
            process.send_signal(signal.SIGKILL)
    with running(config) as agent:
        assert bundle_of(agent) == "demo"
        told = event(subscriber, EventKind.MODEL_ROLLED_BACK)
        assert told.details["reason"] == "crashed"
    with running(config) as agent:
        assert bundle_of(agent) == "demo"


def test_an_agent_that_stops_in_order_goes_on_with_the_trial(broker_port: int) -> None:
    config = configuration(broker_port)
    activation_of(config).activate(Choice(bundle="fast"), DEMO)
    for _ in range(3):
        with running(config) as agent:
            assert bundle_of(agent) == "fast"
    active = activation_of(config).read()
    assert active is not None
    assert active.trial is not None
    assert active.trial.ran_s > 0


def test_an_agent_that_cannot_start_for_another_reason_does_not_blame_the_model(
    broker_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(broker_port)
    activation_of(config).activate(Choice(bundle="fast"), DEMO)
    for place in ("edge_agent.agent.agent.SpecimenTracker", "edge_agent.agent.agent.CommandDispatcher"):
        with monkeypatch.context() as broken:
            broken.setattr(place, _raise)
            with pytest.raises(InferenceError):
                Agent(config)
    with running(config) as agent:
        assert bundle_of(agent) == "fast"


def _raise(*_: object, **__: object) -> None:
    raise InferenceError("not the model's fault")


@pytest.mark.parametrize("content", ["", "{}", '{"schema": "leukoscope/active/v9"}'])
def test_a_damaged_record_is_reported_and_the_configured_model_used(
    broker_port: int, subscriber: Subscriber, content: str
) -> None:
    config = configuration(broker_port)
    folder = config.state.folder / FOLDER
    folder.mkdir(parents=True)
    (folder / "active.json").write_text(content)
    with running(config) as agent:
        assert bundle_of(agent) == "demo"
        assert event(subscriber, EventKind.STATE_IGNORED).code == "state_entry_invalid"
    assert (folder / "active.json.damaged").read_text() == content


def test_a_head_is_chosen_with_its_bundle_and_stays_after_a_restart(
    broker_port: int, results: Results, tmp_path: Path
) -> None:
    config = configuration(broker_port)
    with running(config, on_result=results) as agent:
        page = PageDevice(agent)
        assert not any(each.heads for each in page.state().models)
        agent.models.store.install(write_head(tmp_path / "head"))
        heads = {each.reference: [head.reference for head in each.heads] for each in page.state().models}
        assert heads == {"demo": ["north-clinic-1@1.0.0"], "accurate": [], "cells": [], "fast": []}
        assert order(page, "select-model", model="demo", head="none")["state"] == "refused"
        answer = order(page, "select-model", model="demo", head="north-clinic-1")
        assert answer["state"] == "done"
        judged = results.until(lambda result: result.model is not None and result.model.head is not None)
        assert judged.model is not None
        assert judged.model.head is not None
        assert (judged.model.head.name, judged.model.head.signature) == ("north-clinic-1", "unsigned")
        mismatch = order(page, "select-model", model="fast", head="north-clinic-1")
        assert mismatch["state"] == "failed"
    with running(config) as agent:
        assert agent.models.choice == Choice(bundle="demo", head="north-clinic-1@1.0.0")
        assert order(PageDevice(agent), "select-model", model="demo")["state"] == "done"
        assert agent.model.head is None
