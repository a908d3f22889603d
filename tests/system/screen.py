"""A serial console, kept in a file and watched for words."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path


class Screen:
    """The console output of a machine, from all its boots."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader: threading.Thread | None = None

    def follow(self, machine: subprocess.Popen[str]) -> None:
        """Read a machine's standard output to its end; the output of the machine before no longer counts."""
        with self._changed:
            self._lines.clear()
        self._reader = threading.Thread(target=self._read, args=(machine,), name="screen", daemon=True)
        self._reader.start()

    def _read(self, machine: subprocess.Popen[str]) -> None:
        assert machine.stdout is not None
        with machine.stdout as console, self.log.open("a") as log:
            for line in console:
                log.write(line)
                log.flush()
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._reader = None
            self._changed.notify_all()

    def wait_for(self, words: str, timeout_s: float) -> bool:
        """Whether the words appear in time; returns early if the machine ends."""

        with self._changed:
            self._changed.wait_for(lambda: self._has(words) or self._reader is None, timeout_s)
            return self._has(words)

    def has(self, words: str) -> bool:
        """Whether the words have appeared."""
        with self._changed:
            return self._has(words)

    def _has(self, words: str) -> bool:
        return any(words in line for line in self._lines)

    def wait_until_dark(self) -> None:
        """Wait until all output of an ended machine has been read."""
        with self._changed:
            self._changed.wait_for(lambda: self._reader is None, 10)

    def tail(self, count: int = 40) -> str:
        """The last lines."""
        with self._changed:
            return "".join(self._lines[-count:])
