"""The shipped flow in the real Node-RED, with a simulated device."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from edge_agent.cli.local_broker import LOOPBACK, free_port
from edge_agent.contracts import Status, StatusState, Topics
from edge_agent.mqtt import MqttSettings
from edge_agent.testing.simulated_device import SimulatedDevice
from tests.mqtt import PATIENCE_S
from tests.node_tools import NodeTools

FLOW = Path(__file__).parents[2] / "deploy" / "node-red" / "flow.json"
TOPICS = Topics("north-clinic", "scope-1")
SILENT_S = 2
READINGS = 30
HOUR_MS = 3_600_000
"""A UUID of version 7 begins with 48 bits of milliseconds."""


def until(true: Callable[[], bool]) -> None:
    """Wait by polling: Node-RED does not report when it has written a file."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


@dataclass
class NodeRed:
    """A Node-RED that runs the flow, and the output of its debug nodes."""

    port: int
    folder: Path
    comms: Connection
    heard: list[Any] = field(default_factory=list)

    def next(self, name: str) -> Any:
        """The next output of the debug node of that name. Fails at once if something failed in the flow."""
        data = self._next(lambda each: each["topic"] == "debug" and each["data"].get("name") in {name, "failed"})
        assert data["name"] == name, data
        return json.loads(data["msg"]) if data["format"] == "Object" else data["msg"]

    def until_status(self, node: str, text: str) -> None:
        """Wait until the text below a node begins with ``text``."""
        self._next(lambda each: each["topic"] == f"status/{node}" and each["data"].get("text", "").startswith(text))

    def _next(self, wanted: Callable[[Any], bool]) -> Any:
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            for number, each in enumerate(self.heard):
                if wanted(each):
                    del self.heard[: number + 1]
                    return each["data"]
            self.heard.clear()
            assert time.monotonic() < give_up_s
            frame = json.loads(self.comms.recv(timeout=PATIENCE_S))
            self.heard += [each for each in (frame if isinstance(frame, list) else [frame]) if "topic" in each]

    def next_alarm(self, state: str) -> Any:
        """The next alarm with this state. Others are skipped: a slow machine lets a device fall silent at any time."""
        while (alarm := self.next("ALARM"))["state"] != state:
            assert alarm["state"] in {"silent", "ready"}, alarm
        return alarm

    def totals(self) -> Any:
        """The totals that it writes each minute, requested now."""
        file = self.folder / "now.json"
        file.unlink(missing_ok=True)
        asked = httpx2.post(f"http://{LOOPBACK}:{self.port}/inject/leukoscope-minute", timeout=PATIENCE_S)
        assert asked.status_code == 200

        def there() -> bool:
            try:
                return bool(json.loads(file.read_text()))
            except (OSError, ValueError):
                return False

        until(there)
        return json.loads(file.read_text())

    def rows(self, log: str) -> list[dict[str, str]]:
        (file,) = self.folder.glob(f"{log}-*.csv")
        with file.open(newline="") as lines:
            return list(csv.DictReader(lines))


@pytest.fixture
def node_red(node_tools: NodeTools, broker_port: int, garbage: None, tmp_path: Path) -> Iterator[NodeRed]:
    port = free_port()
    home, folder, log = tmp_path / "home", tmp_path / "log", tmp_path / "node-red.log"
    home.mkdir()
    settings = {
        "uiHost": LOOPBACK,
        "uiPort": port,
        # A copy, as after an import: credentials are stored beside the flow.
        "flowFile": "flow.json",
        "telemetry": {"enabled": False},
    }
    shutil.copy(FLOW, home)
    (home / "package.json").write_text("{}")
    (home / "settings.js").write_text(f"module.exports = {json.dumps(settings)};\n")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [node_tools.node, node_tools.modules / "node-red" / "red.js", "--userDir", home],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                "PATH": str(Path(node_tools.node).parent),
                "HOME": str(home),
                "LEUKOSCOPE_BROKER": LOOPBACK,
                "LEUKOSCOPE_PORT": str(broker_port),
                "LEUKOSCOPE_FOLDER": str(folder),
                "LEUKOSCOPE_SILENT_S": str(SILENT_S),
            },
        )
    try:
        until(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None, log.read_text()
        with connect(f"ws://{LOOPBACK}:{port}/comms") as comms:
            for topic in ("debug", "status/#"):
                comms.send(json.dumps({"subscribe": topic}))
            found = NodeRed(port, folder, comms)
            # Now the flow reads both topics.
            found.until_status("leukoscope-read", "2 messages could not be read")
            yield found
        assert "[error]" not in log.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://{LOOPBACK}:{port}/settings", timeout=PATIENCE_S).status_code == 200
    except httpx2.TransportError:
        return False


@contextmanager
def publisher(port: int) -> Iterator[Callable[..., None]]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect(LOOPBACK, port)
    client.loop_start()

    def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE_S)

    yield publish
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def publish(broker_port: int) -> Iterator[Callable[..., None]]:
    with publisher(broker_port) as found:
        yield found


@pytest.fixture
def garbage(publish: Callable[..., None]) -> None:
    """Publish retained messages, which show when Node-RED has subscribed to each of its topics."""
    publish("leukoscope/v1/a/b/status", b"\xff not JSON", retain=True)
    publish("leukoscope/v1/a/b/result/camera0", b'{"schema": "leukoscope/result/v2", "device": "b"}', retain=True)


@pytest.fixture
def device(broker_port: int) -> Iterator[SimulatedDevice]:
    found = SimulatedDevice(TOPICS, MqttSettings(host=LOOPBACK, port=broker_port))
    yield found
    found.stop()


def will(session: UUID, at: datetime) -> bytes:
    return Status(
        site=TOPICS.site, device=TOPICS.device, session=session, state=StatusState.LOST, code=None, at=at
    ).to_json()


def test_the_flow_counts_each_result_once_keeps_a_log_and_raises_alarms(
    publish: Callable[..., None], node_red: NodeRed, device: SimulatedDevice
) -> None:
    for payload in (b"null", b"[]", b"7", b"{}"):
        publish(TOPICS.status, payload)
        assert node_red.next("could not be read") == "a message that cannot be read"

    device.start()
    results = [result for _ in range(READINGS) if (result := device.read()) is not None]
    assert device.wait_until_acknowledged(PATIENCE_S)
    # As after a loss of the connection.
    publish(TOPICS.result("camera0"), results[0].to_json())
    publish(TOPICS.result("camera0"), b"")
    node_red.next("could not be read")

    outcomes = Counter(str(result.outcome) for result in results)
    totals = node_red.totals()
    assert totals["use"] == "research-only"
    assert totals["counts"] == {"north-clinic/scope-1": outcomes}
    assert totals["unreadable_count"] == 7
    until(lambda: len(node_red.rows("results")) == len(results))
    # The spool sends the newest first.
    rows = sorted(node_red.rows("results"), key=lambda row: int(row["seq"]))
    assert [row["id"] for row in rows] == [str(result.id) for result in results]
    for row, result in zip(rows, results, strict=True):
        assert (row["site"], row["device"], row["use"]) == (TOPICS.site, TOPICS.device, "research-only")
        assert row["outcome"] == result.outcome
        assert row["label"] == (result.label or "")
        assert datetime.fromisoformat(row["captured_at"]) == json_time(result.to_json())

    # No status arrives for longer than is allowed here.
    alarm = node_red.next("ALARM")
    assert (alarm["device"], alarm["state"], alarm["before"]) == ("north-clinic/scope-1", "silent", "ready")
    device.publisher.set_status(StatusState.DEGRADED, "camera_lost")
    alarm = node_red.next_alarm("degraded")
    assert (alarm["before"], alarm["code"]) == ("silent", "camera_lost")
    device.publisher.set_status(StatusState.READY)
    node_red.next_alarm("ready")
    # The will of an older session comes late.
    older = UUID(int=device.session.int - (HOUR_MS << 80))
    publish(TOPICS.status, will(older, datetime(2026, 11, 28, tzinfo=UTC)))
    publish(TOPICS.status, will(device.session, datetime(2026, 11, 29, tzinfo=UTC)))
    assert node_red.next_alarm("lost")["at"].startswith("2026-11-29")
    publish(TOPICS.status, b"")
    until(lambda: node_red.totals()["devices"] == {})
    until(lambda: node_red.rows("alarms")[-1]["state"] == "lost")
    assert [row["state"] for row in node_red.rows("alarms")[:2]] == ["silent", "degraded"]


def json_time(payload: bytes) -> datetime:
    return datetime.fromisoformat(json.loads(payload)["captured_at"])
