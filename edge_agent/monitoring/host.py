"""Figures of the computer: temperature, power, memory, disk."""

from __future__ import annotations

from pathlib import Path

import psutil

from edge_agent.contracts import MachineMetrics
from edge_agent.monitoring.memory_pressure import memory_kills_count, memory_pressure_pct
from edge_agent.monitoring.throttling import read_throttling

SYS = Path("/sys")

_PROCESSOR_SENSORS = ("cpu_thermal", "cpu-thermal", "soc_thermal", "soc-thermal", "coretemp", "k10temp", "zenpower")
"""Names in the kernel: of single-board computers first, then of PCs."""

_PROCESSOR_ZONES = frozenset({"cpu-thermal", "cpu_thermal", "soc-thermal", "soc_thermal", "bcm2835_thermal"})
"""Types of thermal zones, which a kernel has also where none of them is a sensor of hwmon."""


def read_machine(folder: Path, process: psutil.Process) -> MachineMetrics:
    """Current figures; None for what this computer cannot measure. ``folder`` is on the disk whose free space counts.

    ``process`` is this process. It measures processor time since the last call, so pass the same object each time.
    """
    with process.oneshot():
        return MachineMetrics(
            cpu_temperature_c=cpu_temperature_c(),
            throttling=read_throttling(),
            cpu_use_pct=process.cpu_percent(),
            resident_bytes=process.memory_info().rss,
            memory_available_bytes=psutil.virtual_memory().available,
            memory_pressure_pct=memory_pressure_pct(),
            memory_kills_count=memory_kills_count(),
            disk_free_bytes=_free_bytes(folder),
            written_bytes=_written_bytes(process),
            open_files_count=process.num_fds(),
        )


def cpu_temperature_c() -> float | None:
    """Temperature of the processor's hottest sensor, in degrees Celsius; None without a sensor."""
    sensors = psutil.sensors_temperatures()
    known = [sensors[name] for name in _PROCESSOR_SENSORS if name in sensors]
    readings = [entry.current for entries in known for entry in entries]
    return max([*readings, *_zone_temperatures_c()], default=None)


def _zone_temperatures_c() -> list[float]:
    found = []
    for kind in SYS.glob("class/thermal/thermal_zone*/type"):
        try:
            if kind.read_text().strip() in _PROCESSOR_ZONES:
                found.append(int((kind.parent / "temp").read_text()) / 1000)
        except (OSError, ValueError):
            # A zone that cannot be read now must not hide the others.
            continue
    return found


def _free_bytes(folder: Path) -> int:
    """Free space on the disk of ``folder``, or of the nearest folder above it that exists."""
    for each in (folder.absolute(), *folder.absolute().parents):
        try:
            return psutil.disk_usage(str(each)).free
        except OSError:
            continue
    return 0


def _written_bytes(process: psutil.Process) -> int | None:
    try:
        return int(process.io_counters().write_bytes)
    except (psutil.AccessDenied, OSError):
        return None
