"""How an Edge TPU is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LIBRARY = "libedgetpu.so.1"

DEADLINE_MS = 250.0
"""Twenty times what the slowest published Edge TPU takes for a picture (11 ms, on USB 2): a busy processor is no stall.

It is paid once for each stall, since pictures go to the processor until another process has proved itself."""

START_DEADLINE_S = 30.0
"""For Python, the firmware of an Edge TPU that was just plugged in, and the model's way to it."""

CHECK_INTERVAL_COUNT = 256
"""So many answers may come between two that are compared with golden ones. That costs one picture more in so many."""


@dataclass(frozen=True, slots=True)
class EdgeTpuOptions:
    """How the Edge TPU is used."""

    library: str = LIBRARY
    """Name or path of the library that drives it."""
    deadline_s: float = DEADLINE_MS / 1e3
    """How long an answer may take."""
    required: bool = False
    """Whether it is a problem if none is plugged in from the start."""
    retry_initial_s: float = 1.0
    """Pause after a failure; it doubles with each failure that follows soon."""
    retry_max_s: float = 120.0
    start_deadline_s: float = START_DEADLINE_S
    check_interval_count: int = CHECK_INTERVAL_COUNT
    sysfs: Path | None = None
    """Where the kernel lists devices; None for its usual place."""
