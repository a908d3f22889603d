"""One run of the program that fits, from start to end."""

from __future__ import annotations

import json
import logging
import math
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edge_agent.errors import AdaptationError, AdaptationMemory, AdaptationTimeout

log = logging.getLogger(__name__)

TRAINER = (sys.executable, "-P", "-m", "trainer.cli", "adapt")

_MAX_LINE_BYTES = 2000
_MAX_LOGGED_COUNT = 50
"""Lines that are not progress: the rest of them are only counted."""
_TAIL_COUNT = 3
_MAX_TOLD = 300
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory", "Unable to allocate")
_INHERITED = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")

OnProgress = Callable[[float, str], None]
"""Share that is done, and the name of the stage."""


class FitCancelled(Exception):
    """Somebody ended the run, or the whole service."""


@dataclass(frozen=True, slots=True)
class FitLimits:
    """What a run may use."""

    memory_bytes: int
    deadline_s: float


class FitProcess:
    """A process of its own, in a process group of its own. ``cancel`` may be called from any thread, at any time."""

    def __init__(self, program: Sequence[str], folder: Path, limits: FitLimits, on_progress: OnProgress) -> None:
        """Nothing is started yet. ``folder`` is the process's working and temporary folder."""
        self._program = program
        self._folder = folder
        self._limits = limits
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False
        self._said: deque[str] = deque(maxlen=_TAIL_COUNT)
        self._said_count = 0
        self._out_of_memory = False

    def run(self) -> None:
        """Start it, and wait until it has ended.

        Raises ``FitCancelled``, ``AdaptationTimeout``, ``AdaptationMemory``, or ``AdaptationError`` with what it
        said last.
        """
        process = self._start()
        try:
            code = self._listen(process)
        finally:
            self._kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        if self._said_count > _MAX_LOGGED_COUNT:
            log.info("fit: %d more lines", self._said_count - _MAX_LOGGED_COUNT)
        # systemd sends SIGTERM to all processes of a service that stops, and this one may be the first to act on it.
        if self._cancelled or code == -signal.SIGTERM:
            raise FitCancelled
        if code != 0:
            raise self._error(code)

    def cancel(self) -> None:
        """End it at once. Does nothing if it has ended."""
        with self._lock:
            self._cancelled = True
        self._kill()

    def _start(self) -> subprocess.Popen[bytes]:
        memory = str(self._limits.memory_bytes)
        launcher = [sys.executable, "-P", "-m", "edge_agent.adaptation.launcher", str(os.getpid()), memory]
        with self._lock:
            if self._cancelled:
                raise FitCancelled
            try:
                self._process = subprocess.Popen(
                    [*launcher, *self._program],
                    cwd=self._folder,
                    env=_environment(self._folder),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    # Not a session of its own: the kernel may give each session an equal share of the processor.
                    process_group=0,
                )
            except OSError as error:
                raise AdaptationError(f"The fit cannot be started: {error.strerror or error}.") from error
            return self._process

    def _listen(self, process: subprocess.Popen[bytes]) -> int:
        """Take what it says until it has ended; its exit code."""
        deadline_s = time.monotonic() + self._limits.deadline_s
        try:
            if process.stderr is not None:
                for line in _lines(process.stderr, deadline_s):
                    self._take(line)
            return process.wait(max(0.1, deadline_s - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            minutes = self._limits.deadline_s / 60
            raise AdaptationTimeout(f"The fit was not finished after {minutes:g} minutes.") from error

    def _take(self, line: bytes) -> None:
        progress = _progress(line)
        if progress is not None:
            self._on_progress(*progress)
            return
        text = _printable(line)
        if not text:
            return
        self._out_of_memory = self._out_of_memory or any(each in text for each in _OUT_OF_MEMORY)
        self._said.append(text)
        self._said_count += 1
        if self._said_count <= _MAX_LOGGED_COUNT:
            log.info("fit: %s", text)

    def _error(self, code: int) -> AdaptationError:
        if self._out_of_memory:
            return AdaptationMemory(f"The fit needed more than {self._limits.memory_bytes / 2**20:.0f} MiB of memory.")
        if code == -signal.SIGKILL:
            return AdaptationMemory("The fit was killed by the system, most likely because memory ran out.")
        ended = f"on signal {-code}" if code < 0 else f"with code {code}"
        told = " ".join(self._said)[-_MAX_TOLD:]
        return AdaptationError(f"The fit ended {ended}. It said: {told}" if told else f"The fit ended {ended}.")

    def _kill(self) -> None:
        with self._lock:
            process = self._process
            # Once it was waited for, its number may be another process's.
            if process is None or process.returncode is not None:
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def _environment(folder: Path) -> dict[str, str]:
    """No secrets, nothing that systemd listens to, one thread, and no file outside ``folder``."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {
        **inherited,
        **threads,
        "TMPDIR": str(folder),
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:replace",
        # A heap per thread would count against the bound.
        "MALLOC_ARENA_MAX": "1",
    }


def _lines(pipe: IO[bytes], deadline_s: float) -> Iterator[bytes]:
    """Lines as they come, each cut to ``_MAX_LINE_BYTES``. Raises ``TimeoutError`` at the deadline."""
    waiting = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline_s - time.monotonic())):
                raise TimeoutError
            piece = os.read(pipe.fileno(), 65_536)
            *whole, waiting = (waiting + piece).split(b"\n")
            yield from (each[:_MAX_LINE_BYTES] for each in whole)
            # A line without an end must not grow in our memory.
            waiting = waiting[:_MAX_LINE_BYTES]
            if not piece:
                yield waiting
                return


def _progress(line: bytes) -> tuple[float, str] | None:
    """Share and stage of a line of progress; None for any other."""
    try:
        content = json.loads(line)
        ratio, stage = float(content["progress_ratio"]), content["stage"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(stage, str) or not math.isfinite(ratio):
        return None
    return min(1.0, max(0.0, ratio)), _printable(stage.encode())[:40]


def _printable(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()[:_MAX_TOLD]
    return "".join(character if character.isprintable() else "?" for character in text)
