from __future__ import annotations

import gc
import json
import queue
import socket
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import free_port, run_amqtt, run_mosquitto
from edge_agent.contracts import Info, StatusState, Topics
from edge_agent.errors import BrokerRefused, BrokerUnreachable
from edge_agent.mqtt import BrokerState, MqttSettings, Publisher
from edge_agent.mqtt.outbox import METRICS_RING
from edge_agent.spool import MemorySpool, Message, Spool, SpoolStats
from tests.faults.proxy import bad_proxy
from tests.folders import let_others_in
from tests.mqtt import PATIENCE_S, Received, Subscriber

TOPICS = Topics("clinic", "scope-1")


@dataclass
class Rig:
    publisher: Publisher
    spool: Spool
    states: queue.SimpleQueue[BrokerState]

    def append(self, number: int) -> Message:
        message = Message(uuid7(), TOPICS.result("camera0"), json.dumps({"replayed": False, "number": number}).encode())
        self.spool.append(message)
        self.publisher.wake()
        return message

    def until(self, wanted: Callable[[BrokerState], bool]) -> BrokerState:
        while True:
            state = self.states.get(timeout=PATIENCE_S)
            if wanted(state):
                return state


@contextmanager
def running(info: Info, port: int, **settings: object) -> Iterator[Rig]:
    states: queue.SimpleQueue[BrokerState] = queue.SimpleQueue()
    spool = MemorySpool(2**20)
    mqtt = MqttSettings.model_validate({"port": port, "reconnect_max_s": 1, **settings})
    publisher = Publisher(mqtt, TOPICS, spool, info.session, replay_rate_hz=10_000, on_state=states.put)
    publisher.set_retained(TOPICS.info, info.to_json())
    publisher.start()
    try:
        yield Rig(publisher=publisher, spool=spool, states=states)
    finally:
        publisher.stop()


@pytest.fixture
def subscriber(broker_port: int) -> Iterator[Subscriber]:
    """A raw subscriber, because these tests send less than whole results."""
    found = Subscriber(broker_port, raw=True)
    yield found
    found.close()


def results(subscriber: Subscriber, count: int) -> list[int]:
    return [json.loads(subscriber.next("result").payload)["number"] for _ in range(count)]


def test_results_arrive_in_order_and_are_acknowledged(info: Info, broker_port: int, subscriber: Subscriber) -> None:
    with running(info, broker_port) as rig:
        # Messages from before the connection are backlog, and come after the new ones.
        rig.until(lambda state: state.connected)
        for number in range(100):
            rig.append(number)
        assert results(subscriber, 100) == list(range(100))
    stats = rig.spool.stats()
    assert (stats.acknowledged_count, stats.waiting_count, stats.in_flight_count) == (100, 0, 0)


def test_info_and_status_are_retained_and_a_clean_stop_says_so(info: Info, broker_port: int) -> None:
    with running(info, broker_port) as rig:
        rig.until(lambda state: state.connected)
        rig.publisher.set_status(StatusState.READY)
        watcher = Subscriber(broker_port)
        watcher.until_state("ready")
        watcher.close()
    late = Subscriber(broker_port)
    status = late.next("status")
    assert status.retained
    assert status.body().state == "disconnected"
    late.close()
    late = Subscriber(broker_port)
    assert late.next("info").body().session == info.session
    late.close()


class TalkativeSpool(MemorySpool):
    """Requests a status at the last moment: when the publisher has checked whether it may end."""

    publisher: Publisher | None = None

    def stats(self) -> SpoolStats:
        found = super().stats()
        if self.publisher is not None:
            self.publisher.set_status(StatusState.READY)
        return found


def test_nothing_is_said_after_the_goodbye(info: Info, broker_port: int) -> None:
    spool = TalkativeSpool(2**20)
    states: queue.SimpleQueue[BrokerState] = queue.SimpleQueue()
    mqtt = MqttSettings(port=broker_port)
    publisher = Publisher(mqtt, TOPICS, spool, info.session, on_state=states.put)
    publisher.start()
    assert states.get(timeout=PATIENCE_S).connected
    spool.publisher = publisher
    publisher.stop()
    watcher = Subscriber(broker_port)
    assert watcher.next("status").body().state == "disconnected"
    watcher.close()


def test_a_broker_that_comes_up_late_gets_everything(info: Info, mosquitto: str) -> None:
    port = free_port()
    with running(info, port) as rig:
        state = rig.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerUnreachable)
        for number in range(5):
            rig.append(number)
        with run_mosquitto(mosquitto, port):
            rig.until(lambda state: state.connected)
            rig.publisher.stop()
    assert rig.spool.stats().acknowledged_count == 5


def test_results_made_while_the_broker_is_away_arrive_when_it_is_back(info: Info, mosquitto: str) -> None:
    port = free_port()
    with ExitStack() as first_life:
        first_life.enter_context(run_mosquitto(mosquitto, port))
        with running(info, port) as rig:
            rig.until(lambda state: state.connected)
            first_life.close()
            rig.until(lambda state: not state.connected)
            sent = [rig.append(number) for number in range(50)]
            with run_mosquitto(mosquitto, port):
                rig.until(lambda state: state.connected)
                rig.publisher.stop()
    assert rig.spool.stats().acknowledged_count == len(sent)


def test_a_broker_that_refuses_is_not_connected_and_says_why(info: Info, mosquitto: str, tmp_path: Path) -> None:
    port = free_port()
    with run_mosquitto(mosquitto, port, extra_configuration="allow_anonymous false"), running(info, port) as rig:
        rig.append(1)
        state = rig.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerRefused)
        assert not state.connected
    assert rig.spool.stats().waiting_count == 1


def test_user_and_password_from_a_file_open_the_door(info: Info, mosquitto: str, tmp_path: Path) -> None:
    port = free_port()
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "scope", "open-sesame"], check=True)
    passwords.chmod(0o644)
    let_others_in(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("open-sesame\n")
    with (
        run_mosquitto(mosquitto, port, extra_configuration=f"allow_anonymous false\npassword_file {passwords}"),
        running(info, port, username="scope", password_file=secret) as rig,
    ):
        assert rig.until(lambda state: state.connected).error is None


@pytest.fixture
def amqtt_port() -> Iterator[int]:
    pytest.importorskip("amqtt", reason="the embedded broker is not installed")
    port = free_port()
    with run_amqtt(port):
        yield port
    # amqtt never closes the connection of a client that it does not understand: collect it here, where that is known.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(
    info: Info, amqtt_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.mqtt.connection.ANSWER_DEADLINE_S", 0.5)
    with running(info, amqtt_port, keepalive_s=5) as rig:
        rig.until(lambda state: state.connected)
        watcher = Subscriber(amqtt_port, raw=True, version=MQTTProtocolVersion.MQTTv311)
        rig.append(7)
        assert results(watcher, 1) == [7]
        watcher.close()


def test_no_more_than_allowed_is_in_flight_to_a_broker_that_never_acknowledges(info: Info) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        running(info, server.getsockname()[1], version="3.1.1", max_in_flight_count=3, drain_s=0) as rig,
    ):
        connection, _ = server.accept()
        connection.settimeout(PATIENCE_S)
        connection.recv(4096)
        connection.sendall(b"\x20\x02\x00\x00")
        rig.until(lambda state: state.connected)
        for number in range(10):
            rig.append(number)
        read = b""
        while read.count(b"/result/camera0") < 3:
            read += connection.recv(4096)
        stats = rig.spool.stats()
        connection.close()
        assert stats.in_flight_count == 3
        assert stats.waiting_count == 7
    assert rig.spool.stats().acknowledged_count == 0


def test_the_last_will_speaks_when_the_agent_is_gone(info: Info, broker_port: int, subscriber: Subscriber) -> None:
    with bad_proxy(broker_port) as proxy, running(info, proxy.port, will_delay_s=0) as rig:
        rig.until(lambda state: state.connected)
        began = subscriber.until_state("init")
        # The connection ends as it would with the process.
        proxy.cut()
        status = subscriber.until_state("lost")
        assert status.session == info.session
        # The will was made when the connection began.
        assert status.at is not None
        assert began.at is not None
        assert status.at <= began.at


def test_a_message_knows_its_kind() -> None:
    assert Received(TOPICS.result("camera0"), b"", retained=False).kind == "result"


def test_metrics_of_a_while_without_a_broker_are_kept_in_a_ring(info: Info, mosquitto: str) -> None:
    port = free_port()
    with running(info, port) as rig:
        for number in range(METRICS_RING + 5):
            rig.publisher.send_metrics(str(number).encode())
        rig.until(lambda state: state.error is not None)
        with run_mosquitto(mosquitto, port):
            watcher = Subscriber(port, raw=True)
            seen = [int(watcher.next("metrics").payload) for _ in range(METRICS_RING)]
            watcher.close()
    assert seen == list(range(5, METRICS_RING + 5))


def test_the_status_is_repeated_so_that_it_does_not_expire(
    info: Info, broker_port: int, subscriber: Subscriber
) -> None:
    with running(info, broker_port, heartbeat_s=1) as rig:
        rig.publisher.set_status(StatusState.READY)
        first = subscriber.until_state("ready")
        second = subscriber.until_state("ready")
        third = subscriber.until_state("ready")
    assert first.at is not None
    assert second.at is not None
    assert third.at is not None
    assert first.at < second.at < third.at
