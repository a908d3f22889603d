"""A mosquitto that keeps accepted messages, as deploy/mosquitto configures it, and that can be killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.cli.local_broker import LOOPBACK, free_port

SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto" / "mosquitto.conf"
START_DEADLINE_S = 30.0

_KEPT = (
    "per_listener_settings",
    "persistence",
    "autosave_interval",
    "autosave_on_changes",
    "message_size_limit",
    "max_inflight_messages",
    "max_queued_messages",
    "max_keepalive",
)
"""Settings that are taken from the shipped configuration. The rest is about certificates and rights."""


class Mosquitto:
    """A broker on the loopback address, whose folder outlasts it."""

    def __init__(self, program: str, folder: Path, extra: str = "") -> None:
        """``extra`` are lines for its configuration, placed before the shipped ones."""
        self.port = free_port()
        self._program = program
        self._configuration = folder / "mosquitto.conf"
        taken = {line.split()[0] for line in extra.splitlines() if line}
        shipped = [
            line
            for line in SHIPPED.read_text().splitlines()
            if line.split(" ")[0] in _KEPT and line.split(" ")[0] not in taken
        ]
        lines = [*shipped, extra, f"persistence_location {folder}/", "allow_anonymous true"]
        # As root, mosquitto would change to another user, who may not write here.
        self._configuration.write_text("\n".join(["user root", *lines, f"listener {self.port} {LOOPBACK}", ""]))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pids(self) -> list[int]:
        """Process ids, if the broker runs."""
        return [] if self._process is None else [self._process.pid]

    def start(self) -> None:
        """Start the broker, and wait until it listens. Raises ``TimeoutError``."""
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", self._program, "-c", str(self._configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < until:
            try:
                socket.create_connection((LOOPBACK, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise TimeoutError(f"mosquitto does not answer on port {self.port}")

    def kill(self) -> None:
        """End the broker at once, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let the broker hang with all its connections."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the broker continue."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


@contextmanager
def mosquitto_that_keeps(program: str, folder: Path, extra: str = "") -> Iterator[Mosquitto]:
    """A running broker."""
    broker = Mosquitto(program, folder, extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
