"""A real agent, a real broker and a real subscriber in a storm.

The storm consists of kills, broker restarts, and a network that stalls, halves and cuts.

The accepted messages are counted by the spool's own durable counter, the delivered ones by the subscriber.
"""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import numpy as np
import paho.mqtt.client as mqtt
from jsonschema import Draft202012Validator
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from PIL import Image

from edge_agent.cameras.smear import draw_smear
from edge_agent.cli.local_broker import find_mosquitto, free_port
from edge_agent.cli.schema import json_schema
from edge_agent.contracts import MESSAGES
from tests.faults.proxy import BadProxy, bad_proxy

SPOOLED = {"result", "event", "report"}
PATIENCE_S = 120.0
LABELS = ("benign", "early-pre-b", "pre-b", "pro-b")


@dataclass(frozen=True, slots=True)
class StormReport:
    """The printed figures. Lost messages and holes must be 0."""

    seconds: float
    kills_count: int
    broker_restarts_count: int
    stalls_count: int
    halves_count: int
    cuts_count: int
    sessions_count: int
    accepted_count: int
    results_count: int
    delivered_count: int
    duplicates_count: int
    replayed_count: int
    refused_count: int
    dropped_count: int
    lost_count: int
    holes_count: int
    invalid_count: int
    recovery_p50_s: float
    recovery_p95_s: float


class Broker:
    """A mosquitto that keeps across a restart what it has acknowledged."""

    def __init__(self, folder: Path) -> None:
        program = find_mosquitto()
        if program is None:
            raise RuntimeError("mosquitto is not installed")
        self.port = free_port()
        self._program = program
        self._configuration = folder / "mosquitto.conf"
        store = folder / "broker"
        store.mkdir()
        self._configuration.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {store}/\nautosave_interval 1\nautosave_on_changes false\nmax_queued_messages 0\n"
            # As another user, it could not write into our folder.
            "user root\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)


class Collector:
    """A subscriber whose session the broker keeps, so that nothing is lost on the broker's side."""

    def __init__(self, port: int, *, keep: bool = True) -> None:
        """Without ``keep``, messages are only counted."""
        self._keep = keep
        self.payloads: dict[UUID, tuple[str, bytes]] = {}
        self.received = Counter[str]()
        self.replayed_count = 0
        self.first_at: dict[UUID, float] = {}
        self.changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="storm", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe("leukoscope/#", qos=1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._take
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 86400
        self._client.connect_async("127.0.0.1", port, clean_start=False, properties=properties)
        self._client.loop_start()
        # Messages that the broker takes before anybody has subscribed would be missing.
        if not subscribed.wait(PATIENCE_S):
            raise RuntimeError("the broker does not let the collector subscribe")

    def _take(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        kind = message.topic.split("/")[4]
        if kind not in SPOOLED:
            return
        if not self._keep:
            with self.changed:
                self.received[kind] += 1
                self.changed.notify_all()
            return
        body = json.loads(message.payload)
        with self.changed:
            self.received[kind] += 1
            self.replayed_count += body["replayed"]
            self.payloads.setdefault(UUID(body["id"]), (kind, bytes(message.payload)))
            if kind == "result":
                self.first_at.setdefault(UUID(body["session"]), time.monotonic())
            self.changed.notify_all()

    def count(self, kind: str) -> int:
        with self.changed:
            return sum(each == kind for each, _ in self.payloads.values())

    def wait_for(self, count: int, timeout_s: float) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(self.payloads) >= count, timeout_s)

    def wait_for_received(self, kind: str, count: int, timeout_s: float) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.received[kind] >= count, timeout_s)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass
class AgentProcess:
    """``edge-agent run``, again and again with the same state."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    kills: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        frames = self.folder / "frames"
        frames.mkdir()
        rng = np.random.default_rng(1)
        for number in range(8):
            array, _ = draw_smear(rng, LABELS[number % len(LABELS)], size_px=(224, 224))
            Image.fromarray(array).save(frames / f"{number}.jpg", quality=90)

    def start(self, *, reading: bool = True, interval_s: float = 0.005) -> None:
        configuration = self.folder / "agent.toml"
        configuration.write_text(
            f"""
[device]
site = "storm"
id = "scope-1"
[camera]
kind = "folder"
path = "{self.folder / "frames"}"
loop = true
[trigger]
mode = "{"continuous" if reading else "triggered"}"
interval_s = {interval_s}
[analysis]
bundle = "demo"
[mqtt]
port = {self.port}
reconnect_max_s = 1
acknowledge_s = 5
[spool]
replay_rate_hz = 1000
commit_delay_s = 0.05
[state]
folder = "{self.folder / "state"}"
"""
        )
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("edge-agent"), "run", "--config", configuration],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kill the process immediately, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
            self.kills.append(time.monotonic())

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(PATIENCE_S)
            # A process that was started just before may not handle signals yet: then it has not begun anything either.
            if code not in {0, -signal.SIGTERM}:
                raise RuntimeError(f"the agent ended with {code}: {self.log_tail()}")

    def log_tail(self) -> str:
        return (self.folder / "agent.log").read_text()[-4000:]

    def spool(self) -> tuple[Counter[str], int]:
        """The durable counters, and the number of waiting messages."""
        connection = sqlite3.connect(f"file:{self.folder / 'state' / 'spool.db'}?mode=ro", uri=True)
        try:
            counters = Counter({name: int(value) for name, value in connection.execute("SELECT * FROM counters")})
            return counters, connection.execute("SELECT count(*) FROM messages").fetchone()[0]
        finally:
            connection.close()


@contextmanager
def _world(folder: Path) -> Iterator[tuple[Broker, BadProxy, Collector, AgentProcess]]:
    broker = Broker(folder)
    collector = Collector(broker.port)
    try:
        with bad_proxy(broker.port) as proxy:
            agent = AgentProcess(folder, proxy.port)
            try:
                yield broker, proxy, collector, agent
            finally:
                if agent.process is not None and agent.process.poll() is None:
                    agent.kill()
    finally:
        collector.close()
        broker.stop()


def storm(folder: Path, *, results_count: int, kills_count: int, seed: int) -> StormReport:
    """Run until ``results_count`` results and ``kills_count`` kills are reached; then wait for calm, and count."""
    rng = random.Random(seed)
    began = time.monotonic()
    done = Counter[str]()
    with _world(folder) as (broker, proxy, collector, agent):
        agent.start()
        while len(agent.kills) < kills_count or collector.count("result") < results_count:
            # The random moment is the point: there is no event to wait for.
            time.sleep(rng.uniform(0.05, 1.2))
            action = rng.choices(["kill", "restart broker", "stall", "halve", "cut"], [10, 2, 3, 3, 3])[0]
            done[action] += 1
            match action:
                case "kill":
                    agent.kill()
                    agent.start()
                    # Long enough for the agent to make progress, most of the time.
                    time.sleep(rng.uniform(0.0, 2.5))
                case "restart broker":
                    broker.stop()
                    time.sleep(rng.uniform(0.0, 1.0))
                    broker.start()
                case "stall":
                    proxy.stall()
                    time.sleep(rng.uniform(0.1, 2.0))
                    proxy.flow()
                case "halve":
                    proxy.halve()
                case "cut":
                    proxy.cut()
        agent.stop()
        _drain(agent)
        counters, waiting = agent.spool()
        collector.wait_for(counters["accepted"], PATIENCE_S)
        return _report(agent, collector, counters, waiting, done, time.monotonic() - began)


def _drain(agent: AgentProcess) -> None:
    """Let the agent deliver the rest without making more results; each run reports its start and its end."""
    deadline = time.monotonic() + PATIENCE_S
    while agent.spool()[1]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the spool does not empty: {agent.log_tail()}")
        agent.start(reading=False)
        while agent.spool()[1] and time.monotonic() < deadline:
            time.sleep(0.2)
        agent.stop()


def _report(
    agent: AgentProcess,
    collector: Collector,
    counters: Counter[str],
    waiting: int,
    done: Counter[str],
    seconds: float,
) -> StormReport:
    sessions: dict[UUID, set[int]] = defaultdict(set)
    validators = {kind: Draft202012Validator(json_schema(MESSAGES[kind])) for kind in SPOOLED}
    invalid = 0
    for kind, payload in collector.payloads.values():
        body = json.loads(payload)
        invalid += not validators[kind].is_valid(body)
        if kind == "result":
            sessions[UUID(body["session"])].add(body["seq"])
    holes = sum(max(numbers) + 1 - len(numbers) for numbers in sessions.values())
    recoveries = list(_recoveries(agent.kills, sorted(collector.first_at.values())))
    delivered = len(collector.payloads)
    p50 = p95 = float("nan")
    with suppress(statistics.StatisticsError):
        quantiles = statistics.quantiles(recoveries, n=20, method="inclusive")
        p50, p95 = statistics.median(recoveries), quantiles[18]
    return StormReport(
        seconds=round(seconds, 1),
        kills_count=len(agent.kills),
        broker_restarts_count=done["restart broker"],
        stalls_count=done["stall"],
        halves_count=done["halve"],
        cuts_count=done["cut"],
        sessions_count=len(sessions),
        accepted_count=counters["accepted"],
        results_count=sum(map(len, sessions.values())),
        delivered_count=delivered,
        duplicates_count=sum(collector.received.values()) - delivered,
        replayed_count=collector.replayed_count,
        refused_count=counters["refused"],
        dropped_count=counters["dropped"],
        lost_count=counters["accepted"] - delivered - waiting,
        holes_count=holes,
        invalid_count=invalid,
        recovery_p50_s=round(p50, 2),
        recovery_p95_s=round(p95, 2),
    )


def _recoveries(kills: list[float], first_results: list[float]) -> Iterator[float]:
    """Seconds from each kill to the first result of a later run, unless it was killed again before there was one."""
    for kill, following in zip(kills, [*kills[1:], float("inf")], strict=True):
        first = next((at for at in first_results if at > kill), None)
        if first is not None and first < following:
            yield first - kill
