from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from edge_agent.monitoring.host import cpu_temperature_c, read_machine, read_throttling

shwtemp = namedtuple("shwtemp", ["label", "current", "high", "critical"])  # noqa: PYI024 - as psutil makes them


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


def test_a_disk_that_cannot_be_asked_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = psutil.disk_usage

    def disk_usage(path: str) -> object:
        if path.startswith(str(tmp_path)):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(psutil, "disk_usage", disk_usage)
    assert read_machine(tmp_path, psutil.Process()).disk_free_bytes > 0


def test_a_computer_without_a_sensor_has_no_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"nvme": [shwtemp("Composite", 99.0, None, None)]})
    assert cpu_temperature_c() is None
    sensors = {
        "cpu_thermal": [shwtemp("", 48.5, None, None)],
        "coretemp": [shwtemp("Core 0", 50.0, None, None), shwtemp("Core 1", 52.0, None, None)],
    }
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors)
    assert cpu_temperature_c() == 52.0
