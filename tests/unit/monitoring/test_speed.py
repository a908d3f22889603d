from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import CheckState, Outcome
from edge_agent.errors import SpeedMissed
from edge_agent.monitoring.health import run_checks
from edge_agent.monitoring.speed import BLOCK_READINGS, SpeedMonitor
from tests.unit.monitoring.conftest import MakeInputs

TARGET_MS = 15.0


@dataclass
class Read:
    """The parts of a reading that count here."""

    latency_ms: dict[str, float]
    outcome: Outcome = Outcome.CLASSIFIED


def block(monitor: SpeedMonitor, slow_count: int, outcome: Outcome = Outcome.CLASSIFIED) -> None:
    for number in range(BLOCK_READINGS):
        total_ms = 20.0 if number < slow_count else 10.0
        monitor.add(cast("Reading", Read({"waiting": 500.0, "total": total_ms}, outcome)))


@pytest.fixture
def monitor() -> SpeedMonitor:
    found = SpeedMonitor()
    found.use(TARGET_MS, None)
    return found


def state(monitor: SpeedMonitor) -> CheckState | None:
    check = monitor.check()
    return None if check is None else check.state


def test_only_readings_that_stay_slow_are_a_problem(monitor: SpeedMonitor) -> None:
    block(monitor, slow_count=5)
    block(monitor, slow_count=6)
    assert state(monitor) is CheckState.OK
    block(monitor, slow_count=6)
    check = monitor.check()
    assert check is not None
    assert (check.name, check.code) == ("speed", "speed_missed")
    assert "20.0 ms; the target is 15 ms" in (check.message or "")
    block(monitor, slow_count=5)
    assert state(monitor) is CheckState.OK


def test_what_was_not_judged_says_nothing_of_the_speed(monitor: SpeedMonitor) -> None:
    for outcome in (Outcome.REJECTED, Outcome.FAILED):
        block(monitor, BLOCK_READINGS, outcome)
        block(monitor, BLOCK_READINGS, outcome)
    assert state(monitor) is CheckState.OK


def test_what_the_start_found_holds_until_readings_say_otherwise(monitor: SpeedMonitor) -> None:
    monitor.use(TARGET_MS, SpeedMissed("Nothing was fast enough."))
    assert state(monitor) is CheckState.DEGRADED
    block(monitor, slow_count=0)
    assert state(monitor) is CheckState.OK


def test_another_model_begins_anew(monitor: SpeedMonitor) -> None:
    block(monitor, slow_count=100)
    monitor.use(TARGET_MS, None)
    block(monitor, slow_count=100)
    assert state(monitor) is CheckState.OK


def test_without_a_target_there_is_no_check(monitor: SpeedMonitor, make_inputs: MakeInputs) -> None:
    monitor.use(None, None)
    block(monitor, slow_count=100)
    assert monitor.check() is None
    assert "speed" not in {each.name for each in run_checks(make_inputs())}
