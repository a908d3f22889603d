"""A real agent on a board whose firmware reports that it is too hot, and later that it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_agent.contracts import CheckState, Event, EventKind, Health, Metrics
from edge_agent.monitoring import host, memory_pressure, monitor, throttling
from tests.agents import configuration, running
from tests.mqtt import PATIENCE_S, Subscriber

PACE = {"slow_down_s": 0, "recover_s": 0, "max_pause_s": 1.0}

Board = Callable[[str], None]


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """Sets the firmware's answer. This machine's own figures are ignored, and the agent looks often."""
    word = tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled"
    word.parent.mkdir(parents=True)
    for module in (host, throttling):
        monkeypatch.setattr(module, "SYS", tmp_path / "sys")
    monkeypatch.setattr(psutil, "sensors_temperatures", dict)
    monkeypatch.setattr(memory_pressure, "PROC", tmp_path / "proc")
    monkeypatch.setattr(monitor, "TICK_S", 0.05)
    monkeypatch.setattr(monitor, "METRICS_INTERVAL_S", 0.05)

    def write(text: str) -> None:
        new = word.with_name("new")
        new.write_text(text)
        new.replace(word)

    write("0\n")
    return write


def until(subscriber: Subscriber, **wanted: Callable[[Any], bool]) -> dict[str, Any]:
    """Wait for one matching message of each kind. They arrive in any order, because each kind is sent independently."""
    found: dict[str, Any] = {}
    while missing := wanted.keys() - found.keys():
        message = subscriber.next_of(set(missing))
        body = message.body()
        if wanted[message.kind](body):
            found[message.kind] = body
    return found


def pace_is(state: CheckState) -> Callable[[Health], bool]:
    return lambda health: {check.name: check.state for check in health.checks}["pace"] is state


def is_event(kind: EventKind) -> Callable[[Event], bool]:
    return lambda event: event.kind == kind


def pauses(pause_s: float) -> Callable[[Metrics], bool]:
    return lambda metrics: metrics.reading_pause_s == pause_s


def test_a_hot_board_is_read_less_often_until_it_has_cooled_down(
    broker_port: int, subscriber: Subscriber, board: Board
) -> None:
    with running(configuration(broker_port, pace=PACE)) as agent:
        subscriber.next("result")
        board("80008\n")
        seen = until(
            subscriber,
            event=is_event(EventKind.READING_SLOWED),
            health=pace_is(CheckState.DEGRADED),
            metrics=pauses(1.0),
        )
        assert (seen["event"].code, seen["event"].details) == ("machine_throttled", {"pause_s": 0.5})
        [check] = [check for check in seen["health"].checks if check.name == "pace"]
        assert (check.code, seen["health"].state) == ("reading_slowed", CheckState.DEGRADED)
        assert check.remedy
        limit = "soft_temperature_limit"
        assert seen["metrics"].machine.throttling == (limit, f"{limit}_occurred")
        # The agent still reads, and at once if asked.
        subscriber.next("result")
        assert agent.reading.capture().id
        assert agent.stuck == ()
        board("80000\n")
        until(
            subscriber,
            event=is_event(EventKind.READING_AT_FULL_RATE),
            health=pace_is(CheckState.OK),
            metrics=pauses(0.0),
        )


def test_every_file_is_read_also_on_a_hot_board(
    broker_port: int, subscriber: Subscriber, board: Board, tmp_path: Path, smear: NDArray[np.uint8]
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        Image.fromarray(smear).save(pictures / f"{number}.png")
    board("4\n")
    camera = {"kind": "folder", "path": str(pictures)}
    with running(configuration(broker_port, camera=camera, pace={**PACE, "max_pause_s": 0.5})) as agent:
        assert agent.wait(PATIENCE_S)
        seen = [subscriber.next("result").body() for _ in range(4)]
    assert [Path(each.source).name for each in seen] == [f"{number}.png" for number in range(4)]
