"""Lets the analysis come first where cores are few."""

from __future__ import annotations

import contextlib
import os
import threading

NICENESS = 10


def lower_priority() -> None:
    """Give the calling thread a lower priority, where the system has one per thread (Linux) and lets it.

    The package's service does not: it may not set priorities at all. What is shown gives way to the analysis by itself.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
