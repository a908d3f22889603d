"""The agent as the microscope page sees it, and the choice of a bundle."""

from __future__ import annotations

import json
import queue
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from edge_agent.agent import Agent, PageDevice
from edge_agent.agent.model_control import STATE_KEY
from edge_agent.contracts import EventKind
from edge_agent.errors import AgentPaused
from edge_agent.mqtt import Request
from tests.agents import configuration, running
from tests.integration.test_agent import result
from tests.mqtt import PATIENCE_S, Subscriber


def order(device: PageDevice, command: str, **fields: object) -> dict[str, object]:
    answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    payload = json.dumps({"id": str(uuid4()), **fields}).encode()
    device.submit(Request.local(command, payload), answers.put, by="page:work")
    answer: dict[str, object] = json.loads(answers.get(timeout=PATIENCE_S))
    return answer


def bundle_of(agent: Agent) -> str | None:
    return PageDevice(agent).state().model


def test_a_command_of_the_page_is_carried_out_and_its_sender_is_in_the_event(
    broker_port: int, subscriber: Subscriber
) -> None:
    with running(configuration(broker_port)) as agent:
        device = PageDevice(agent)
        assert order(device, "pause")["state"] == "done"
        state = device.state()
        assert state.paused
        assert not state.problems, "a camera that was released is not missing"
        with pytest.raises(AgentPaused):
            device.look_on()
        done = next(
            event
            for event in iter(lambda: subscriber.next("event").body(), None)
            if event.kind is EventKind.COMMAND_DONE
        )
        assert (done.details["command"], done.details["by"]) == ("pause", "page:work")
        assert order(device, "resume")["state"] == "done"
        frames = device.look_on()
        assert frames.next(PATIENCE_S) is not None
        device.look_away(frames)


def test_a_broker_that_is_missing_is_a_problem_with_its_remedy() -> None:
    with running(configuration(1)) as agent:
        device = PageDevice(agent)
        while not (problems := device.state().problems):
            agent.wait(0.01)
        broker = next(each for each in problems if each.part == "broker")
        assert broker.code.startswith("broker_")
        assert broker.remedy


def test_a_chosen_bundle_is_used_at_once_and_after_a_restart(broker_port: int, subscriber: Subscriber) -> None:
    config = configuration(broker_port)
    with running(config) as agent:
        device = PageDevice(agent)
        assert {each.name for each in device.state().models} == {"demo", "accurate", "fast", "cells"}
        assert order(device, "select-model", model="fast")["state"] == "done"
        assert bundle_of(agent) == "fast"
        assert next(each for each in iter(lambda: result(subscriber), None) if each.model.name == "fast")
    with running(config) as agent:
        assert bundle_of(agent) == "fast"
        # The name in the configuration undoes the choice.
        assert order(PageDevice(agent), "select-model", model="demo")["state"] == "done"
    with running(config) as agent:
        assert bundle_of(agent) == "demo"


def test_another_bundle_in_the_configuration_ends_the_choice(broker_port: int) -> None:
    with running(configuration(broker_port)) as agent:
        agent.models.select("fast")
    with running(configuration(broker_port, analysis={"bundle": "accurate"})) as agent:
        assert bundle_of(agent) == "accurate"


def test_a_reload_keeps_the_choice_unless_it_names_another_bundle(broker_port: int) -> None:
    with running(configuration(broker_port)) as agent:
        agent.models.select("fast")
        agent.reload(configuration(broker_port, trigger={"mode": "triggered"}))
        assert bundle_of(agent) == "fast"
        agent.reload(configuration(broker_port, analysis={"bundle": "accurate"}))
        assert bundle_of(agent) == "accurate"


@pytest.mark.parametrize("model", ["../../etc", "/tmp", "none"])
def test_only_installed_bundles_can_be_chosen(broker_port: int, model: str) -> None:
    with running(configuration(broker_port)) as agent:
        answer = order(PageDevice(agent), "select-model", model=model)
        assert answer["state"] == "refused"
        error = answer["error"]
        assert isinstance(error, dict)
        assert error["code"] == "model_unknown"
        assert bundle_of(agent) == "demo"


def test_a_bundle_that_is_damaged_cannot_be_chosen_and_the_one_in_use_stays(
    broker_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subscriber: Subscriber
) -> None:
    """Even if it is damaged after it was chosen."""
    from edge_agent.inference import bundle as bundles  # noqa: PLC0415 - only its list of bundles is replaced

    copy = tmp_path / "fast"
    shutil.copytree(bundles.shipped_bundles()["fast"], copy)
    shipped = {**bundles.shipped_bundles(), "fast": copy}
    monkeypatch.setattr(bundles, "shipped_bundles", lambda: shipped)
    config = configuration(broker_port)
    with running(config) as agent:
        agent.models.select("fast")
    (copy / "model.tflite").write_bytes(b"damaged")
    with running(config) as agent:
        assert bundle_of(agent) == "demo"
        given_up = next(
            event
            for event in iter(lambda: subscriber.next("event").body(), None)
            if event.kind is EventKind.MODEL_ROLLED_BACK
        )
        assert given_up.code == "bundle_hash_mismatch"
        answer = order(PageDevice(agent), "select-model", model="fast")
        assert answer["state"] == "failed"
        assert bundle_of(agent) == "demo"
        assert [each.name for each in PageDevice(agent).state().models] == ["demo", "accurate", "cells"]


def test_an_upgrade_keeps_what_an_older_agent_was_told_to_use(broker_port: int) -> None:
    config = configuration(broker_port)
    with running(config) as agent:
        agent.spool.write_state_entries({STATE_KEY: b'{"configured": "demo", "chosen": "fast"}'})
    with running(config) as agent:
        assert bundle_of(agent) == "fast"
        assert agent.models.active is not None
        assert agent.models.active.trial is None
        assert STATE_KEY not in agent.spool.state_entries(STATE_KEY)
    with running(config) as agent:
        assert bundle_of(agent) == "fast"


def test_failed_log_ins_are_recorded(broker_port: int, subscriber: Subscriber) -> None:
    with running(configuration(broker_port)) as agent:
        PageDevice(agent).record_failed_logins(3)
        event = next(
            event
            for event in iter(lambda: subscriber.next("event").body(), None)
            if event.kind is EventKind.LOGINS_FAILED
        )
        assert event.details["attempts_count"] == 3
