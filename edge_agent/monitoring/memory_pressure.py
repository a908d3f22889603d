"""Whether programs wait for memory, as the kernel accounts for it (PSI), and whether it ended some for want of it.

Format: docs.kernel.org/accounting/psi.html. Raspberry Pi OS measures it only with ``psi=1`` in ``cmdline.txt``.
"""

from __future__ import annotations

import re
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def memory_pressure_pct() -> float | None:
    """Share of the last 10 s in which a program waited for memory, here or in this service; None if not measured."""
    files = [PROC / "pressure/memory"]
    if (own := _own_cgroup()) is not None:
        # A limit of the service's own is felt by the service alone.
        files.append(own / "memory.pressure")
    return max((share for each in files if (share := _some_pct(each)) is not None), default=None)


def memory_kills_count() -> int | None:
    """Processes of this service that the kernel ended for want of memory; None if it does not count them."""
    own = _own_cgroup()
    if own is None:
        return None
    found = re.search(r"^oom_kill (\d{1,18})$", _read(own / "memory.events"), re.MULTILINE)
    return None if found is None else int(found[1])


def _own_cgroup() -> Path | None:
    found = re.search(r"^0::/(.+)$", _read(PROC / "self/cgroup"), re.MULTILINE)
    return None if found is None else CGROUPS / found[1]


def _some_pct(path: Path) -> float | None:
    found = re.search(r"^some avg10=(\d{1,3}(?:\.\d+)?) ", _read(path), re.MULTILINE)
    return None if found is None else float(found[1])


def _read(path: Path) -> str:
    """The file's content; nothing if there is none, or if the kernel does not measure it."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
