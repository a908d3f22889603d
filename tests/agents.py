"""Agents in this process, for tests with a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from edge_agent.agent import Agent
from edge_agent.analysis import Reading
from edge_agent.cameras import Camera
from edge_agent.config import Config
from edge_agent.contracts import Result
from tests.mqtt import Requester


def configuration(port: int, **sections: Mapping[str, object]) -> Config:
    return Config.model_validate(
        {
            "device": {"site": "clinic", "id": "scope-1"},
            "camera": {"kind": "synthetic"},
            "trigger": {"mode": "continuous", "interval_s": 0},
            "capture": {"reopen_initial_s": 0.05, "deadline_s": 2},
            "analysis": {"bundle": "demo"},
            "mqtt": {"port": port, "reconnect_max_s": 1},
            **sections,
        }
    )


@contextmanager
def running(
    config: Config,
    *,
    camera: Callable[[], Camera] | None = None,
    on_result: Callable[[Result, Reading], None] | None = None,
    max_readings: int | None = None,
) -> Iterator[Agent]:
    agent = Agent(config, camera=camera, on_result=on_result, max_readings=max_readings)
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()


@contextmanager
def serving(config: Config, requester: Requester) -> Iterator[Agent]:
    """An agent that listens to commands."""
    with running(config) as agent:
        requester.until_there(agent.session)
        yield agent
