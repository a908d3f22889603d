"""What the computer says of itself."""

from __future__ import annotations

from pathlib import Path

import psutil

from edge_agent.contracts import MachineMetrics

THROTTLING_FILE = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""Written by the Raspberry Pi's firmware driver; ``vcgencmd get_throttled`` shows the same bits."""

_THROTTLING = {0: "under_voltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
_SINCE_BOOT = 16
"""The same bits so far up: it happened since boot."""


def read_machine(folder: Path, process: psutil.Process) -> MachineMetrics:
    """Figures of now. ``folder`` is on the disk whose free room matters.

    ``process`` is this one: it measures its processor time since it was last asked, so it has to be kept.
    """
    with process.oneshot():
        return MachineMetrics(
            cpu_temperature_c=cpu_temperature_c(),
            throttling=read_throttling(THROTTLING_FILE),
            cpu_use_pct=process.cpu_percent(),
            resident_bytes=process.memory_info().rss,
            memory_available_bytes=psutil.virtual_memory().available,
            disk_free_bytes=psutil.disk_usage(str(_existing(folder))).free,
            written_bytes=_written_bytes(process),
            open_files_count=process.num_fds(),
        )


def cpu_temperature_c() -> float | None:
    """Of the hottest sensor of the processor; None where there is none."""
    sensors = psutil.sensors_temperatures()
    known = [sensors[name] for name in ("cpu_thermal", "coretemp", "k10temp") if name in sensors]
    readings = [entry.current for entries in known for entry in entries]
    return max(readings, default=None)


def read_throttling(path: Path) -> tuple[str, ...] | None:
    """Names of the bits that are set in the firmware's hexadecimal word; None where there is no such file."""
    try:
        word = int(path.read_text().strip().removeprefix("0x"), 16)
    except (OSError, ValueError):
        return None
    now = [name for bit, name in _THROTTLING.items() if word & 1 << bit]
    past = [f"{name}_occurred" for bit, name in _THROTTLING.items() if word & 1 << (bit + _SINCE_BOOT)]
    return (*now, *past)


def _existing(folder: Path) -> Path:
    """``folder``, or the nearest one above it: it is not there yet where nothing could be written into it."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())


def _written_bytes(process: psutil.Process) -> int | None:
    try:
        return int(process.io_counters().write_bytes)
    except (psutil.AccessDenied, OSError):
        return None
