"""One event when the agent slows down, and one when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.contracts import Event, EventKind, Topics
from edge_agent.events.recorder import EventRecorder
from edge_agent.monitoring.pace import Pace
from edge_agent.monitoring.pace_events import PaceEvents
from edge_agent.monitoring.settings import PaceSettings
from edge_agent.spool import MemorySpool
from tests.unit.monitoring.conftest import machine

AT_ONCE = PaceSettings(slow_down_s=0, recover_s=0)


@pytest.fixture
def spool() -> MemorySpool:
    return MemorySpool(1_000_000)


@pytest.fixture
def pace_events(tmp_path: Path, spool: MemorySpool) -> Iterator[PaceEvents]:
    events = EventRecorder(tmp_path, spool, Topics("clinic", "scope-1"), uuid7())
    yield PaceEvents(Pace(AT_ONCE, 2.0), events)
    events.close()


def recorded(spool: MemorySpool) -> list[Event]:
    found = []
    while (message := spool.take(live=True)) is not None:
        found.append(Event.model_validate_json(message.payload))
    return found


def test_it_tells_of_the_beginning_and_the_end_and_not_of_each_step(
    pace_events: PaceEvents, spool: MemorySpool
) -> None:
    assert pace_events.look(machine()) is None
    assert recorded(spool) == []
    for _ in range(5):
        problem = pace_events.look(machine(cpu_temperature_c=82.4))
    assert problem is not None
    assert problem.message == (
        "A field is read every 8 s at most. The processor is at 82 °C; from 80 °C it slows down."
    )
    [event] = recorded(spool)
    assert (event.kind, event.code, event.details) == (EventKind.READING_SLOWED, "machine_hot", {"pause_s": 4.0})
    while pace_events.look(machine()) is not None:
        assert recorded(spool) == []
    [event] = recorded(spool)
    assert (event.kind, event.code) == (EventKind.READING_AT_FULL_RATE, None)
    assert pace_events.pause_s == 0


def test_it_is_over_when_it_is_switched_off(pace_events: PaceEvents, spool: MemorySpool) -> None:
    pace_events.look(machine(throttling=("throttled",)))
    [event] = recorded(spool)
    assert event.code == "machine_throttled"
    pace_events.use(PaceSettings(enabled=False), 2.0)
    [event] = recorded(spool)
    assert event.kind is EventKind.READING_AT_FULL_RATE
