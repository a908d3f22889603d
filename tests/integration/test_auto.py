"""A real agent that chooses its bundle and threads itself. Speed depends on the machine, so no test asserts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.agent import Agent
from edge_agent.cli.doctor import examine
from edge_agent.config.examination import examine_config
from edge_agent.contracts import Check, CheckState, Health, Info, ModelIdentity
from edge_agent.inference.auto_bundles import AUTO_BUNDLES
from tests.agents import configuration, running
from tests.heads import write_head
from tests.mqtt import PATIENCE_S, Subscriber

ANY_MS, NO_MS = 10_000, 0.001


def test_the_device_reads_with_what_it_chose_and_says_why(broker_port: int, subscriber: Subscriber) -> None:
    models: list[ModelIdentity] = []
    config = configuration(broker_port, analysis={"bundle": "auto", "target_ms": ANY_MS})
    with running(config, on_result=lambda result, _: models.append(result.model), max_readings=3) as agent:
        info = subscriber.next("info").body()
        assert isinstance(info, Info)
        assert agent.wait(PATIENCE_S)
    # Enough time for every bundle: the most accurate one is chosen, with one core.
    assert info.speed is not None
    assert info.speed.holds
    assert (info.speed.chosen.bundle, info.speed.chosen.threads_count) == (AUTO_BUNDLES[0], 1)
    assert info.speed.timings == (info.speed.chosen,)
    assert {each.name for each in models} == {AUTO_BUNDLES[0]} == {info.model.name}


def test_a_target_that_nothing_holds_is_a_degraded_state_that_a_reload_can_end(
    broker_port: int, subscriber: Subscriber
) -> None:
    config = configuration(broker_port, analysis={"bundle": "auto", "target_ms": NO_MS})
    with running(config) as agent:
        slow = _health(subscriber, CheckState.DEGRADED)
        speed = agent.models.speed
        assert speed is not None
        assert not speed.holds
        assert {each.candidate.bundle for each in speed.timings} == set(AUTO_BUNDLES)
        agent.reload(configuration(broker_port, analysis={"bundle": "auto", "target_ms": ANY_MS}))
        assert _speed(agent).state is CheckState.OK
        agent.reload(configuration(broker_port))
        assert agent.models.speed is None
        assert agent.model.name == "demo"
    assert slow.code == "speed_missed"
    assert "nothing was fast enough" in (slow.message or "")


def test_what_is_activated_on_the_device_is_used_whatever_auto_would_choose(broker_port: int) -> None:
    config = configuration(broker_port, analysis={"bundle": "auto", "target_ms": ANY_MS})
    with running(config) as agent:
        assert agent.model.name == AUTO_BUNDLES[0]
        assert agent.models.bundle_reference == AUTO_BUNDLES[0]
        assert agent.models.select("fast").name == "fast"
    again = Agent(config)
    try:
        assert again.model.name == "fast"
        assert again.models.roll_back().name == AUTO_BUNDLES[0]
    finally:
        again.stop()


def test_doctor_and_check_config_say_what_auto_is(tmp_path: Path) -> None:
    config = configuration(1, analysis={"bundle": "auto", "target_ms": NO_MS}, state={"folder": str(tmp_path)})
    found = {each.check: each for each in examine(config)}
    assert (found["speed"].state, found["speed"].code) == ("warn", "speed_missed")
    assert "verified" in found["bundle"].detail
    assert any(found["bundle"].detail.startswith(name) for name in AUTO_BUNDLES)
    named = {each.check: each for each in examine(configuration(1, state={"folder": str(tmp_path)}))}
    assert "the configuration names the bundle and 1 core" in named["speed"].detail


@pytest.mark.parametrize("bundle", ["accurate", "demo"])
def test_check_config_knows_which_heads_auto_can_use(tmp_path: Path, bundle: str) -> None:
    head = write_head(tmp_path / "head", bundle=bundle)
    file = tmp_path / "agent.toml"
    file.write_text(
        f'[device]\nsite = "a"\nid = "b"\n[camera]\nkind = "synthetic"\n[analysis]\nbundle = "auto"\n'
        f"head = {json.dumps(str(head))}\n[state]\nfolder = {json.dumps(str(tmp_path))}\n"
    )
    found = [each.explanation for each in examine_config(file)]
    assert bool(found) == (bundle not in AUTO_BUNDLES)
    assert all("analysis.head: the head" in each for each in found)


@pytest.mark.parametrize("threads", ["0", "65", "1.5", "true", '"many"', "[]"])
def test_a_number_of_threads_that_makes_no_sense_is_one_error(tmp_path: Path, threads: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        '[device]\nsite = "a"\nid = "b"\n[camera]\nkind = "synthetic"\n'
        f"[analysis]\nthreads_count = {threads}\n[state]\nfolder = {json.dumps(str(tmp_path))}\n"
    )
    (found,) = examine_config(file)
    assert found.line == 7
    assert found.explanation.startswith('analysis.threads_count: needs a whole number from 1 to 64, or "auto"')


def _speed(agent: Agent) -> Check:
    return next(each for each in agent.self_test() if each.name == "speed")


def _health(subscriber: Subscriber, wanted: CheckState) -> Check:
    while True:
        body = subscriber.next("health").body()
        assert isinstance(body, Health)
        check = next((each for each in body.checks if each.name == "speed"), None)
        if check is not None and check.state is wanted:
            return check
