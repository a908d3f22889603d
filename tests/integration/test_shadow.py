"""A candidate beside the model in use, in a real agent with a real broker."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.agent import Agent, PageDevice
from edge_agent.contracts import Event, EventKind
from edge_agent.monitoring import monitor
from edge_agent.shadow.shadow import ShadowEnd, ShadowSummary
from edge_agent.web.device import ShadowState
from tests.agents import configuration, running
from tests.integration.test_agent import result
from tests.integration.test_page_device import order
from tests.mqtt import PATIENCE_S, Subscriber


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "TICK_S", 0.05)
    monkeypatch.setattr(monitor, "METRICS_INTERVAL_S", 0.1)


def until(agent: Agent, found: Callable[[ShadowState], bool]) -> ShadowState:
    """The candidate's state on the page, once ``found`` is true for it."""
    while (shadow := PageDevice(agent).state().shadow) is None or not found(shadow):
        assert not agent.wait(0.01), "the agent ended"
    return shadow


def event(subscriber: Subscriber, kind: EventKind) -> Event:
    while True:
        body = subscriber.next("event").body()
        if isinstance(body, Event) and body.kind is kind:
            return body


def test_it_is_counted_and_never_published(broker_port: int, subscriber: Subscriber) -> None:
    with running(configuration(broker_port)) as agent:
        answer = order(PageDevice(agent), "shadow-model", model="fast")
        assert answer["state"] == "done"
        begun = event(subscriber, EventKind.SHADOW_STARTED)
        assert (begun.details["model"], begun.details["head"]) == ("fast", None)
        state = until(agent, lambda shadow: shadow.figures.compared_count >= 3)
        assert (state.figures.model.name, state.end) == ("fast", None)
        said = next(
            body
            for body in iter(lambda: subscriber.next("metrics").body(), None)
            if body.shadow is not None and body.shadow.compared_count >= 3
        )
        assert said.shadow.latency_ms is not None
        # The real bundle does not know the demonstration's drawn smears.
        assert said.shadow.candidate_refusals_count["unfamiliar"] > 0
        assert {result(subscriber).model.name for _ in range(5)} == {"demo"}

        assert order(PageDevice(agent), "shadow-model", model=None)["state"] == "done"
        assert event(subscriber, EventKind.SHADOW_ENDED).details["end"] == "stopped"
        assert PageDevice(agent).state().shadow is None
        assert next(body for body in iter(lambda: subscriber.next("metrics").body(), None) if body.shadow is None)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "../../etc"}, "model_unknown"),
        ({"model": "fast", "head": "nobody-fitted-it"}, "model_unknown"),
        ({"model": None, "head": "north"}, "command_invalid"),
        ({"model": "demo"}, "command_invalid"),
        ({}, "command_invalid"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_the_candidate_before_stays(
    broker_port: int, fields: dict[str, object], code: str
) -> None:
    with running(configuration(broker_port)) as agent:
        assert order(PageDevice(agent), "shadow-model", model="fast")["state"] == "done"
        answer = order(PageDevice(agent), "shadow-model", **fields)
        error = answer["error"]
        assert isinstance(error, dict)
        assert (answer["state"], error["code"]) == ("refused", code)
        assert until(agent, lambda _: True).figures.model.name == "fast"


def test_a_candidate_that_is_chosen_is_compared_no_longer(broker_port: int, subscriber: Subscriber) -> None:
    with running(configuration(broker_port)) as agent:
        order(PageDevice(agent), "shadow-model", model="fast")
        assert order(PageDevice(agent), "select-model", model="fast")["state"] == "done"
        assert event(subscriber, EventKind.SHADOW_ENDED).details["end"] == "in_use"
        assert until(agent, lambda shadow: shadow.end == "in_use")


def test_the_roll_out_gets_a_summary_after_as_many_fields_as_it_asked_for(broker_port: int) -> None:
    summaries: queue.SimpleQueue[ShadowSummary] = queue.SimpleQueue()
    with running(configuration(broker_port)) as agent:
        agent.shadowing.judge(agent.models.candidate("fast"), 3, summaries.put)
        found = summaries.get(timeout=PATIENCE_S)
        assert (found.end, found.figures.compared_count) == (ShadowEnd.ENOUGH, 3)


def test_a_stop_ends_the_candidate_and_says_so(broker_port: int, subscriber: Subscriber, tmp_path: Path) -> None:
    summaries: queue.SimpleQueue[ShadowSummary] = queue.SimpleQueue()
    with running(configuration(broker_port, state={"folder": str(tmp_path / "state")})) as agent:
        agent.shadowing.judge(agent.models.candidate("fast"), 10**6, summaries.put)
    assert summaries.get(timeout=PATIENCE_S).end is ShadowEnd.STOPPED
    assert event(subscriber, EventKind.SHADOW_ENDED).details["end"] == "stopped"
