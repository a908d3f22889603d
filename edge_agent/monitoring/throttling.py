"""What a Raspberry Pi's firmware says about its power and its heat.

Three places know it, and none needs root. The kernel of Raspberry Pi OS has the firmware's word in sysfs, on a Pi 4 and
older. On a Pi 5 there is no such file: ``vcgencmd`` asks the firmware by ``/dev/vcio``, which the group ``video`` may
open. Debian's own kernel has neither, only a driver that reports under-voltage.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

SYS = Path("/sys")
MAILBOX = Path("/dev/vcio")

_WORDS = "devices/platform/soc*/soc*:firmware/get_throttled"
"""The folder is called ``soc`` or, with an address, ``soc@107c000000``."""

_PROGRAM = "vcgencmd"
_PROGRAM_S = 2.0
"""It takes milliseconds; a firmware that does not answer must not hold up the health checks."""

_FLAGS = {0: "under_voltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
_SINCE_BOOT = 16
"""The same bits, shifted by this, say what happened since boot."""


def read_throttling() -> tuple[str, ...] | None:
    """Names of what is limited now, then of what was since boot, with ``_occurred``; None if nothing reports it.

    Where only under-voltage is reported, nothing else is ever named.
    """
    word = _kernels_word()
    if word is None:
        word = _firmwares_word()
    if word is None:
        return _under_voltage()
    now = [name for bit, name in _FLAGS.items() if word & 1 << bit]
    past = [f"{name}_occurred" for bit, name in _FLAGS.items() if word & 1 << (bit + _SINCE_BOOT)]
    return (*now, *past)


def _kernels_word() -> int | None:
    for path in SYS.glob(_WORDS):
        try:
            return int(path.read_text(), 16)
        except (OSError, ValueError):
            continue
    return None


def _firmwares_word() -> int | None:
    # Starting a program every few seconds that may not open the device would be for nothing.
    try:
        os.close(os.open(MAILBOX, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return None
    try:
        done = subprocess.run([_PROGRAM, "get_throttled"], capture_output=True, timeout=_PROGRAM_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.fullmatch(rb"throttled=0x([0-9a-fA-F]{1,8})\s*", done.stdout)
    return None if found is None else int(found[1], 16)


def _under_voltage() -> tuple[str, ...] | None:
    for name in SYS.glob("class/hwmon/hwmon*/name"):
        try:
            if name.read_text().strip() == "rpi_volt":
                return ("under_voltage",) if int((name.parent / "in0_lcrit_alarm").read_text()) else ()
        except (OSError, ValueError):
            continue
    return None
