"""A broker on this machine for the demonstration and for tests: mosquitto if it is installed, else amqtt."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_agent.errors import BrokerMissing, BrokerUnreachable

LOOPBACK = "127.0.0.1"
START_DEADLINE_S = 10.0


def free_port() -> int:
    """A TCP port on the loopback address that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def find_mosquitto() -> str | None:
    """Path of mosquitto; Debian keeps it out of an ordinary user's PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class LocalBroker:
    """A broker that runs on this machine."""

    name: str
    version: Literal["auto", "3.1.1"]
    """The MQTT version to use. amqtt does not answer clients that use MQTT 5."""


@contextlib.contextmanager
def local_broker(port: int) -> Iterator[LocalBroker]:
    """Run a broker on the loopback address, without persistence or passwords.

    Raises ``BrokerMissing`` if there is none to run, ``BrokerUnreachable`` if it does not start.
    """
    mosquitto = find_mosquitto()
    if mosquitto is not None:
        with run_mosquitto(mosquitto, port):
            yield LocalBroker("mosquitto", "auto")
    else:
        with run_amqtt(port):
            yield LocalBroker("amqtt (embedded, MQTT 3.1.1)", "3.1.1")


@contextlib.contextmanager
def run_mosquitto(program: str, port: int, *, extra_configuration: str = "allow_anonymous true") -> Iterator[int]:
    """Run mosquitto on the loopback address with its own configuration; yields its process id."""
    with tempfile.TemporaryDirectory(prefix="leukoscope-broker-") as folder:
        configuration = Path(folder, "mosquitto.conf")
        configuration.write_text(f"listener {port} {LOOPBACK}\npersistence false\n{extra_configuration}\n")
        # In its own session: Ctrl+C is for the demonstration, which still has to disconnect from the broker.
        process = subprocess.Popen(
            [program, "-c", str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _wait_until_listening(port, process)
            yield process.pid
        finally:
            process.terminate()
            process.communicate()


def _wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
            raise BrokerUnreachable(f"mosquitto stopped at once on port {port}: {said}.", remedy="Try another port.")
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise BrokerUnreachable(f"mosquitto does not answer on port {port}.", remedy="Try another port.")


@contextlib.contextmanager
def run_amqtt(port: int) -> Iterator[None]:
    """Run amqtt in a thread of this process, on the loopback address. Raises ``BrokerMissing``."""
    try:
        from amqtt.broker import Broker
    except ImportError as error:
        raise BrokerMissing("Neither mosquitto nor amqtt is installed on this machine.") from error
    settings: dict[str, Any] = {
        "listeners": {"default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="amqtt", daemon=True)
    thread.start()

    async def start() -> Broker:
        broker = Broker(settings, loop=loop)
        await broker.start()
        return broker

    try:
        broker = asyncio.run_coroutine_threadsafe(start(), loop).result(START_DEADLINE_S)
        yield
        asyncio.run_coroutine_threadsafe(broker.shutdown(), loop).result(START_DEADLINE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
