"""Runs inside the new process: sets its limits and the lowest priority, then becomes the fitting program.

``python -m edge_agent.adaptation.launcher PARENT MEMORY_BYTES PROGRAM ARGUMENTS …``

The agent does not set these itself between fork and exec: that is not safe in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_IOPRIO_SET_OF_PROCESS, _IDLE_CLASS = 1, 3 << 13
_MAX_FILE_BYTES = 256 * 2**20
"""Largest file that the program may write, so that it does not fill the disk on which results wait."""
_LOWEST = 19


def main(arguments: list[str]) -> None:
    """Does not return."""
    parent, memory_bytes, *program = arguments
    # A fit must not outlive an agent that was killed. The parent may have gone before this was asked for.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        os._exit(1)
    # Limit private writable memory: mere address space, of which the runtimes reserve much, costs nothing.
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _step_back()
    os.execv(program[0], program)  # noqa: S606 - the agent named it


def _step_back() -> None:
    """Take only the resources that the readings leave. If a sandbox forbids this, the fit runs anyway."""
    with suppress(OSError):
        os.nice(_LOWEST)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # psutil could do it, but takes longer to load than all of this.
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 251, "aarch64": 30}.get(os.uname().machine)
    if number is not None:
        libc.syscall(number, _IOPRIO_SET_OF_PROCESS, 0, _IDLE_CLASS)


if __name__ == "__main__":
    main(sys.argv[1:])
