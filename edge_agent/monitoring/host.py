"""Figures of the computer: temperature, power, memory, disk."""

from __future__ import annotations

from pathlib import Path

import psutil

from edge_agent.contracts import MachineMetrics

THROTTLING_FILE = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""Written by the Raspberry Pi's firmware driver; ``vcgencmd get_throttled`` shows the same bits."""

_THROTTLING = {0: "under_voltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
_SINCE_BOOT = 16
"""The same bits, shifted by this, say what happened since boot."""

_PROCESSOR_SENSORS = ("cpu_thermal", "cpu-thermal", "soc_thermal", "soc-thermal", "coretemp", "k10temp", "zenpower")
"""Names in the kernel: of single-board computers first, then of PCs."""


def read_machine(folder: Path, process: psutil.Process) -> MachineMetrics:
    """Current figures; None for what this computer cannot measure. ``folder`` is on the disk whose free space counts.

    ``process`` is this process. It measures processor time since the last call, so pass the same object each time.
    """
    with process.oneshot():
        return MachineMetrics(
            cpu_temperature_c=cpu_temperature_c(),
            throttling=read_throttling(THROTTLING_FILE),
            cpu_use_pct=process.cpu_percent(),
            resident_bytes=process.memory_info().rss,
            memory_available_bytes=psutil.virtual_memory().available,
            disk_free_bytes=_free_bytes(folder),
            written_bytes=_written_bytes(process),
            open_files_count=process.num_fds(),
        )


def cpu_temperature_c() -> float | None:
    """Temperature of the processor's hottest sensor, in degrees Celsius; None without a sensor."""
    sensors = psutil.sensors_temperatures()
    known = [sensors[name] for name in _PROCESSOR_SENSORS if name in sensors]
    readings = [entry.current for entries in known for entry in entries]
    return max(readings, default=None)


def read_throttling(path: Path) -> tuple[str, ...] | None:
    """Names of the bits that are set in the firmware's hexadecimal word; None if there is no such file."""
    try:
        word = int(path.read_text().strip().removeprefix("0x"), 16)
    except (OSError, ValueError):
        return None
    now = [name for bit, name in _THROTTLING.items() if word & 1 << bit]
    past = [f"{name}_occurred" for bit, name in _THROTTLING.items() if word & 1 << (bit + _SINCE_BOOT)]
    return (*now, *past)


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
