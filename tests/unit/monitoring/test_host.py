from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from edge_agent.monitoring import host
from edge_agent.monitoring.host import cpu_temperature_c, read_machine

shwtemp = namedtuple("shwtemp", ["label", "current", "high", "critical"])  # noqa: PYI024 - as psutil makes them


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


def test_a_computer_without_a_sensor_has_no_temperature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "SYS", tmp_path)
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"nvme": [shwtemp("Composite", 99.0, None, None)]})
    assert cpu_temperature_c() is None
    sensors = {
        "cpu_thermal": [shwtemp("", 48.5, None, None)],
        "coretemp": [shwtemp("Core 0", 50.0, None, None), shwtemp("Core 1", 52.0, None, None)],
    }
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors)
    assert cpu_temperature_c() == 52.0


def test_the_hottest_zone_of_the_processor_counts_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "sensors_temperatures", dict)
    monkeypatch.setattr(host, "SYS", tmp_path)
    zones = {"cpu-thermal": "48312", "gpu-thermal": "99000", "bcm2835_thermal": "61000", "soc-thermal": "no number"}
    for number, (kind, temperature) in enumerate(zones.items()):
        zone = tmp_path / f"class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(f"{kind}\n")
        (zone / "temp").write_text(f"{temperature}\n")
    assert cpu_temperature_c() == 61.0
