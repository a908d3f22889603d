"""An agent that keeps frames."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event

import pytest

from edge_agent.agent import Agent
from edge_agent.agent.page_device import PageDevice
from edge_agent.analysis import Reading
from edge_agent.cli.local_broker import free_port
from edge_agent.config import Config
from edge_agent.contracts import Result
from edge_agent.errors import ConfigError
from tests.agents import configuration, running

CONSENT = "Ethics board of the North Clinic, 2026-11-02"


def keeping(folder: Path, **settings: object) -> Config:
    collection = {"keep": "all", "consent": CONSENT, "folder": str(folder), **settings}
    return configuration(free_port(), collection=collection)


def read(config: Config, count: int) -> list[Result]:
    """``count`` readings of an agent that is then stopped."""
    results: list[Result] = []
    enough = Event()

    def on_result(result: Result, _reading: Reading) -> None:
        results.append(result)
        if len(results) == count:
            enough.set()

    with running(config, on_result=on_result, max_readings=count):
        assert enough.wait(120)
    return results


def events(config: Config) -> list[str]:
    lines = (config.state.folder / "audit.log").read_text().splitlines()
    return [json.loads(line.partition(" ")[2])["kind"] for line in lines]


def test_its_frames_are_there_after_a_restart_and_say_that_they_were_drawn(tmp_path: Path) -> None:
    config = keeping(tmp_path / "kept", keep="every_nth", every_nth_count=3)
    results = read(config, 9)
    with running(config) as agent:
        records = agent.collection.recent(2)
        assert [each.result.id for each in records] == [results[6].id, results[3].id]
        assert all(each.synthetic and agent.collection.picture(each.result.id) for each in records)
        assert agent.collection.state().sets[0].name == "classes"
        assert [each.code for each in agent.collection.state().sets[0].labels] == [
            "benign",
            "early-pre-b",
            "pre-b",
            "pro-b",
        ]


def test_a_collection_that_cannot_be_written_stops_no_reading_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("in the way")
    config = keeping(tmp_path / "kept")
    assert len(read(config, 5)) == 5
    assert events(config).count("collection_failed") == 1
    assert (tmp_path / "kept").read_text() == "in the way"


def test_the_page_says_that_frames_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("in the way")
    told, agents = Event(), list[Agent]()

    def on_result(_result: Result, _reading: Reading) -> None:
        # The first readings may be there before the agent is.
        if agents and agents[0].collection.error is not None:
            told.set()

    with running(keeping(tmp_path / "kept"), on_result=on_result) as agent:
        agents.append(agent)
        assert told.wait(60)
        problems = {each.part: each for each in PageDevice(agent).state().problems}
        assert problems["collection"].code == "collection_failed"
        assert problems["collection"].remedy


def test_it_keeps_nothing_unless_the_configuration_says_so(tmp_path: Path) -> None:
    config = configuration(free_port())
    read(config, 2)
    assert not (config.state.folder / "collection").exists()


def test_what_is_kept_does_not_change_while_it_runs(tmp_path: Path) -> None:
    with (
        running(configuration(free_port())) as agent,
        pytest.raises(ConfigError, match=r"\[collection\] cannot change"),
    ):
        agent.reload(keeping(tmp_path / "kept"))
