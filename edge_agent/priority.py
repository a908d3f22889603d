"""Gives the analysis priority where cores are few."""

from __future__ import annotations

import contextlib
import os
import threading

NICENESS = 10


def lower_priority() -> None:
    """Give the calling thread a lower priority, where the system has one per thread (Linux) and allows it.

    The package's service may not set priorities at all. There, threads that only show something give way by themselves.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
