from __future__ import annotations

from datetime import UTC, datetime

import pytest
from uuid_utils.compat import uuid7

from edge_agent.contracts import CheckState, Health, Topics
from edge_agent.errors import CameraLost, ReadingSlowed
from edge_agent.monitoring.health import ClockReading, health_message, overall_state, run_checks
from tests.unit.monitoring.conftest import MakeInputs


def clock(year: int, *, synchronised: bool | None) -> ClockReading:
    return ClockReading(datetime(year, 6, 1, tzinfo=UTC), synchronised)


def test_a_device_that_is_well_has_no_code(make_inputs: MakeInputs) -> None:
    checks = run_checks(make_inputs())
    assert {check.state for check in checks} == {CheckState.OK}
    assert {check.code for check in checks} == {None}
    assert overall_state(checks) is CheckState.OK


@pytest.mark.parametrize(
    ("change", "name", "code"),
    [
        ({"camera": CameraLost("unplugged.")}, "camera", "camera_lost"),
        ({"disk_free_bytes": 100 * 2**20}, "disk", "disk_low"),
        ({"cpu_temperature_c": 81.0}, "temperature", "machine_hot"),
        ({"throttling": ("under_voltage",)}, "power", "machine_throttled"),
        ({"memory_pressure_pct": 20.0}, "memory", "memory_short"),
        ({"memory_available_bytes": 31 * 2**20}, "memory", "memory_short"),
        ({"pace": ReadingSlowed("A field is read every 4 s at most.")}, "pace", "reading_slowed"),
        ({"clock": clock(1970, synchronised=None)}, "clock", "clock_unset"),
        ({"clock": clock(2026, synchronised=False)}, "clock", "clock_unset"),
        ({"clock": clock(2019, synchronised=True)}, "clock", "clock_unset"),
    ],
)
def test_each_fault_has_its_code_and_says_what_to_do(
    make_inputs: MakeInputs, change: dict[str, object], name: str, code: str
) -> None:
    checks = run_checks(make_inputs(**change))
    (check,) = [each for each in checks if each.state is not CheckState.OK]
    assert (check.name, check.state, check.code) == (name, CheckState.DEGRADED, code)
    assert check.message
    assert check.remedy
    assert overall_state(checks) is CheckState.DEGRADED


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"cpu_temperature_c": None}, "temperature"),
        ({"throttling": None}, "power"),
        ({"clock": clock(2026, synchronised=None)}, "clock"),
    ],
)
def test_what_cannot_be_measured_is_unknown_and_no_fault(
    make_inputs: MakeInputs, change: dict[str, object], name: str
) -> None:
    checks = run_checks(make_inputs(**change))
    (check,) = [each for each in checks if each.state is not CheckState.OK]
    assert (check.name, check.state, check.code) == (name, CheckState.UNKNOWN, None)
    assert check.message
    assert overall_state(checks) is CheckState.OK


def test_what_happened_since_boot_is_over(make_inputs: MakeInputs) -> None:
    checks = run_checks(make_inputs(throttling=("under_voltage_occurred",)))
    assert {check.state for check in checks} == {CheckState.OK}


def test_a_fault_counts_beside_what_is_unknown(make_inputs: MakeInputs) -> None:
    checks = run_checks(make_inputs(throttling=None, cpu_temperature_c=90.0))
    assert overall_state(checks) is CheckState.DEGRADED


def test_the_message_holds_all_checks(make_inputs: MakeInputs) -> None:
    checks = run_checks(make_inputs(throttling=None))
    message = health_message(Topics("clinic-a", "scope-1"), uuid7(), checks)
    assert message.state is CheckState.OK
    assert Health.model_validate_json(message.to_json()).checks == checks


def test_messages_are_plain_words(make_inputs: MakeInputs) -> None:
    texts = {check.name: check.message for check in run_checks(make_inputs(cpu_temperature_c=85.4))}
    assert texts["temperature"] == "The processor is at 85 °C; from 80 °C it slows down."
    texts = {check.name: check.message for check in run_checks(make_inputs(clock=clock(1970, synchronised=False)))}
    assert texts["clock"] == "The clock shows 1970-06-01 and is not synchronised with a time server."
