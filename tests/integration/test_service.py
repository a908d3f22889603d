"""The agent as systemd starts it: it reports readiness, is watched, and is reachable with a broken configuration."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from edge_agent.cli.local_broker import free_port
from edge_agent.config import load_config
from edge_agent.contracts import CommandName
from edge_agent.daemon.safe_mode import LAST_GOOD
from tests.integration.test_cli import write_config
from tests.mqtt import PATIENCE_S, Requester, Subscriber

SYSTEMD_PYTHON = """
import os, socket
def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
"""
"""Stands in for systemd-python, which needs systemd's headers to build: the same call, the same datagram."""

STUCK_ANALYSIS = """
import edge_agent.analysis.analyzer, edge_agent.acquisition.pipeline, threading
edge_agent.acquisition.pipeline.STUCK_S = 0.5
edge_agent.analysis.analyzer.Analyzer.complete = lambda self, prepared: threading.Event().wait()
"""


SLOW_RELOAD = """
import threading
from pathlib import Path
from uuid import uuid4
from edge_agent.agent import Agent
def reload(self, config):
    while not Path({gate!r}).exists():
        threading.Event().wait(0.05)
Agent.reload = reload
"""


class Listener:
    """systemd's end of the notification socket."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(PATIENCE_S)

    def next(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._socket.recv(65536).decode().splitlines())

    def until(self, key: str, text: str = "") -> dict[str, str]:
        while True:
            told = self.next()
            if text in told.get(key, "absent" if text else "") and key in told:
                return told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path)
    yield listener
    listener.close()


@contextmanager
def service(
    config: Path, systemd: Listener, *, watchdog_s: float = 30, prelude: str = ""
) -> Iterator[subprocess.Popen[str]]:
    package = config.parent / "modules" / "systemd"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    (package / "daemon.py").write_text(SYSTEMD_PYTHON)
    code = f"{prelude}\nfrom edge_agent.cli.app import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "--config", str(config), "--safe-mode"],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "NOTIFY_SOCKET": str(systemd.path),
            "WATCHDOG_USEC": str(int(watchdog_s * 1e6)),
            "PYTHONPATH": os.pathsep.join([str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
        },
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_tells_ready_feeds_the_watchdog_reloads_and_stops(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, systemd: Listener
) -> None:
    config = write_config(tmp_path, broker_port)
    with service(config, systemd, watchdog_s=1.5) as process:
        assert "readings" in systemd.until("READY")["STATUS"]
        systemd.until("WATCHDOG")
        systemd.until("WATCHDOG")
        subscriber.next("result")
        process.send_signal(signal.SIGHUP)
        assert int(systemd.until("RELOADING")["MONOTONIC_USEC"]) > 0
        systemd.until("READY")
        process.send_signal(signal.SIGUSR2)
        systemd.until("STATUS", "connected")
        process.send_signal(signal.SIGTERM)
        systemd.until("STOPPING")
        assert process.wait(PATIENCE_S) == 0


def test_a_reload_that_takes_long_does_not_starve_the_watchdog(
    tmp_path: Path, broker_port: int, systemd: Listener
) -> None:
    config, gate = write_config(tmp_path, broker_port), tmp_path / "go-on"
    with service(config, systemd, watchdog_s=0.9, prelude=SLOW_RELOAD.format(gate=str(gate))) as process:
        systemd.until("READY")
        process.send_signal(signal.SIGHUP)
        systemd.until("RELOADING")
        for _ in range(5):
            systemd.until("WATCHDOG")
        gate.touch()
        systemd.until("READY")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"[device]\nsite = 3\n", b"future = true\n"])
def test_whatever_was_kept_of_an_earlier_configuration_the_agent_starts(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, systemd: Listener, content: bytes
) -> None:
    config = write_config(tmp_path, broker_port)
    kept = load_config(config).state.folder / LAST_GOOD
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content)
    with service(config, systemd) as process:
        assert "readings" in systemd.until("READY")["STATUS"]
        subscriber.next("result")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert kept.read_bytes() == config.read_bytes()


def test_a_part_that_is_stuck_starves_the_watchdog(tmp_path: Path, broker_port: int, systemd: Listener) -> None:
    config = write_config(tmp_path, broker_port)
    with service(config, systemd, watchdog_s=0.3, prelude=STUCK_ANALYSIS):
        systemd.until("READY")
        assert systemd.until("STATUS", "no progress")["STATUS"] == "no progress in inference"
        # Once the analysis is stuck, only the status arrives, every few seconds.
        assert "WATCHDOG" not in systemd.next()


@pytest.mark.parametrize(
    ("mistake", "code"),
    [
        ('bundle = "absent"\n', "bundle_missing"),
        ("bundle = 3\n", "config_invalid"),
        ("bundle = \n", "config_invalid"),
    ],
)
def test_a_broken_configuration_is_told_and_can_be_mended(
    tmp_path: Path,
    broker_port: int,
    subscriber: Subscriber,
    requester: Requester,
    systemd: Listener,
    mistake: str,
    code: str,
) -> None:
    config = write_config(tmp_path, broker_port)
    good = config.read_text()
    with service(config, systemd) as process:
        systemd.until("READY")
        subscriber.next("result")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    config.write_text(good.replace('bundle = "demo"\n', mistake))
    with service(config, systemd) as process:
        assert code in systemd.until("READY", "1")["STATUS"]
        while (check := subscriber.next("health").body().checks[0]).name != "configuration":
            pass
        assert check.code == code
        assert check.remedy
        subscriber.until_state("degraded")
        answer = requester.ask(CommandName.CAPTURE)
        assert answer.error is not None
        assert (answer.state, answer.error.code) == ("refused", "agent_safe_mode")
        systemd.until("WATCHDOG")
        config.write_text(good)
        process.send_signal(signal.SIGHUP)
        systemd.until("READY")
        subscriber.next("result")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_the_page_of_a_device_in_safe_mode_says_what_is_wrong(
    tmp_path: Path, broker_port: int, systemd: Listener
) -> None:
    config = write_config(tmp_path, broker_port)
    port = free_port()
    good = f"{config.read_text()}\n[web]\nenabled = true\nport = {port}\n"
    config.write_text(good.replace('bundle = "demo"', 'bundle = "none"'))
    with service(config, systemd) as process:
        systemd.until("READY")
        with httpx2.stream("GET", f"http://127.0.0.1:{port}/events", timeout=PATIENCE_S) as events:
            lines = events.iter_lines()
            assert "event: state" in lines
            state = json.loads(next(lines).removeprefix("data: "))
        assert state["safe_mode"]
        assert [problem["code"] for problem in state["problems"]] == ["bundle_missing"]
        assert state["problems"][0]["remedy"]
        address = f"http://127.0.0.1:{port}"
        refused = httpx2.post(f"{address}/commands/pause", json={"id": str(uuid4())}, headers={"Origin": address})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "agent_safe_mode")
        config.write_text(good)
        process.send_signal(signal.SIGHUP)
        systemd.until("READY")
        with httpx2.stream("GET", f"http://127.0.0.1:{port}/events", timeout=PATIENCE_S) as events:
            lines = events.iter_lines()
            assert "event: state" in lines
            assert not json.loads(next(lines).removeprefix("data: "))["safe_mode"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_without_a_broker_in_any_file_it_stays_and_says_why(tmp_path: Path, systemd: Listener) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("[device")
    with service(config, systemd) as process:
        assert "safe mode: config_invalid" in systemd.until("READY")["STATUS"]
        systemd.until("WATCHDOG")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr is not None
        assert "no configuration names a broker" in process.stderr.read()


def test_somebody_at_a_terminal_gets_the_error_and_an_end(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("[device")
    done = subprocess.run(
        [sys.executable, "-c", "from edge_agent.cli.app import main; main()", "run", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert "config_invalid" in done.stderr
    assert "Traceback" not in done.stderr
