"""Which Edge TPUs the kernel lists. Reading it touches no device, so that it cannot hang on one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys")
_USB_IDS = {("1a6e", "089a"), ("18d1", "9302")}
"""Vendor and product: before its firmware is loaded, which the library does when it is first used, and after."""
_SUPER_SPEED_MBIT = 5000


@dataclass(frozen=True, slots=True)
class EdgeTpuDevice:
    """An Edge TPU that is plugged in."""

    place: str
    """The kernel's name: a USB port such as 2-1, or apex_0 of one on PCIe."""
    slow: bool
    """Whether it is on USB 2, where a model takes about twice as long."""

    def __str__(self) -> str:
        """For people."""
        if self.place.startswith("apex"):
            return f"on PCIe as {self.place}"
        return f"on USB {2 if self.slow else 3} at port {self.place}"


def find_devices(sysfs: Path | None = None) -> tuple[EdgeTpuDevice, ...]:
    """All Edge TPUs, those on USB first. ``sysfs`` is for tests."""
    sysfs = sysfs or SYSFS
    found = [
        EdgeTpuDevice(folder.name, slow=_speed_mbit(folder) < _SUPER_SPEED_MBIT)
        for folder in sorted(sysfs.glob("bus/usb/devices/*"))
        if (_read(folder / "idVendor"), _read(folder / "idProduct")) in _USB_IDS
    ]
    found += [EdgeTpuDevice(folder.name, slow=False) for folder in sorted(sysfs.glob("class/apex/apex_*"))]
    return tuple(found)


def _speed_mbit(folder: Path) -> float:
    try:
        return float(_read(folder / "speed"))
    except ValueError:
        return _SUPER_SPEED_MBIT


def _read(file: Path) -> str:
    """A line; "" if there is none, or the device has just been unplugged."""
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
