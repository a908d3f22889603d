from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from edge_agent.contracts import CheckState, MachineMetrics
from edge_agent.errors import CameraLost
from edge_agent.monitoring.health import HealthInputs, clock_problem, examine
from edge_agent.monitoring.host import read_machine, read_throttling


@pytest.mark.parametrize(
    ("word", "flags"),
    [
        ("0", ()),
        ("0x0", ()),
        ("50005", ("under_voltage", "throttled", "under_voltage_occurred", "throttled_occurred")),
        ("0x20000", ("frequency_capped_occurred",)),
        ("80008\n", ("soft_temperature_limit", "soft_temperature_limit_occurred")),
    ],
)
def test_the_firmwares_word_is_taken_apart(tmp_path: Path, word: str, flags: tuple[str, ...]) -> None:
    path = tmp_path / "get_throttled"
    path.write_text(word)
    assert read_throttling(path) == flags


def test_a_computer_without_that_file_does_not_tell(tmp_path: Path) -> None:
    assert read_throttling(tmp_path / "absent") is None
    (tmp_path / "odd").write_text("what?")
    assert read_throttling(tmp_path / "odd") is None


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    machine = read_machine(tmp_path, psutil.Process())
    assert machine.resident_bytes > 1e6
    assert machine.disk_free_bytes > 0
    assert machine.open_files_count > 0


def test_a_folder_that_could_not_be_made_is_no_reason_to_stop(tmp_path: Path) -> None:
    assert read_machine(tmp_path / "not" / "there", psutil.Process()).disk_free_bytes > 0


def inputs(**changes: object) -> HealthInputs:
    machine = MachineMetrics(
        cpu_temperature_c=50,
        throttling=(),
        cpu_use_pct=0,
        resident_bytes=1,
        memory_available_bytes=1,
        disk_free_bytes=2**40,
        written_bytes=None,
        open_files_count=1,
    )
    errors = {name: changes.pop(name, None) for name in ("camera", "spool", "broker", "audit", "clock")}
    return HealthInputs(**errors, machine=machine.model_copy(update=changes))  # type: ignore[arg-type]


def codes(found: HealthInputs) -> dict[str, str | None]:
    return {check.name: check.code for check in examine(found) if check.state is not CheckState.OK}


def test_a_device_that_works_has_no_code() -> None:
    assert codes(inputs()) == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"camera": CameraLost("unplugged.")}, {"camera": "camera_lost"}),
        ({"disk_free_bytes": 100 * 2**20}, {"disk": "disk_low"}),
        ({"cpu_temperature_c": 81.0}, {"temperature": "machine_hot"}),
        ({"cpu_temperature_c": None}, {}),
        ({"throttling": ("under_voltage",)}, {"power": "machine_throttled"}),
        ({"throttling": ("under_voltage_occurred",)}, {}),
        ({"throttling": None}, {}),
        ({"clock": clock_problem(1970, None)}, {"clock": "clock_unset"}),
        ({"clock": clock_problem(2026, True)}, {}),
        ({"clock": clock_problem(2026, False)}, {"clock": "clock_unset"}),
    ],
)
def test_each_trouble_has_its_code(change: dict[str, object], expected: dict[str, str]) -> None:
    assert codes(inputs(**change)) == expected


def test_a_check_says_what_to_do() -> None:
    check = next(each for each in examine(inputs(disk_free_bytes=1)) if each.name == "disk")
    assert check.message
    assert check.remedy
