"""The host's clock: whether it can be trusted, and which boot its monotonic time counts from."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC = Path("/run/systemd/timesync")


def clock_synchronised() -> bool | None:
    """Whether systemd-timesyncd has set the clock since boot; None where it does not run."""
    if not _TIMESYNC.is_dir():
        return None
    return (_TIMESYNC / "synchronized").exists()


@cache
def boot_id() -> str | None:
    """The kernel's id of this boot; None where it has none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None
