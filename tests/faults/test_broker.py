"""Brokers that behave badly, and a status that stays true."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import free_port, run_mosquitto
from edge_agent.contracts import Topics
from edge_agent.errors import BrokerSilent
from edge_agent.mqtt import BrokerState, MqttSettings, Publisher
from edge_agent.spool import Message, SpoolLimits, SqliteSpool
from tests.faults.proxy import bad_proxy
from tests.integration.test_cli import running_agent, write_config
from tests.mqtt import PATIENCE_S, Subscriber

TOPICS = Topics("clinic", "scope-1")
LIMITS = SpoolLimits(max_bytes=2**30, max_age_s=3600, commit_delay_s=0)


class MuteBroker:
    """Accepts every connection, then acknowledges nothing."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.connections_count = 0
        self.results_count = 0
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._listen, args=[connection])
            thread.start()
            self._threads.append(thread)

    def _listen(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            self.connections_count += 1
            connection.sendall(b"\x20\x03\x00\x00\x00")
            heard = b""
            while True:
                try:
                    chunk = connection.recv(65536)
                except OSError:
                    return
                if not chunk:
                    return
                heard += chunk
                self.results_count = max(self.results_count, heard.count(b"/result/camera0"))

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def mute_broker() -> Iterator[MuteBroker]:
    broker = MuteBroker()
    yield broker
    broker.close()


class Device:
    def __init__(self, folder: Path, port: int, **settings: object) -> None:
        self.states: queue.SimpleQueue[BrokerState] = queue.SimpleQueue()
        self.committed = threading.Semaphore(0)
        self.spool = SqliteSpool(folder, LIMITS, on_change=self._changed)
        self.publisher: Publisher | None = None
        values = {"port": port, "reconnect_max_s": 1, "drain_s": 1, **settings}
        self.publisher = Publisher(
            MqttSettings.model_validate(values),
            TOPICS,
            self.spool,
            uuid7(),
            replay_rate_hz=1000,
            on_state=self.states.put,
        )
        self.publisher.start()

    def _changed(self) -> None:
        if self.publisher is not None:
            self.publisher.wake()

    def append(self, count: int) -> None:
        for _ in range(count):
            self.spool.append(Message(uuid7(), TOPICS.result("camera0"), b'{"replayed":false}'))
        assert self.spool.flush(PATIENCE_S)

    def until(self, wanted: Callable[[BrokerState], bool]) -> BrokerState:
        while True:
            state = self.states.get(timeout=PATIENCE_S)
            if wanted(state):
                return state


@contextmanager
def device(folder: Path, port: int, **settings: object) -> Iterator[Device]:
    found = Device(folder, port, **settings)
    try:
        yield found
    finally:
        assert found.publisher is not None
        found.publisher.stop()
        found.spool.close()


def test_a_broker_that_never_acknowledges_costs_nothing(
    tmp_path: Path, mute_broker: MuteBroker, mosquitto: str
) -> None:
    with device(tmp_path, mute_broker.port, acknowledge_s=1) as scope:
        scope.until(lambda state: state.connected)
        scope.append(100)
        assert isinstance(scope.until(lambda state: state.error is not None).error, BrokerSilent)
        # And once more, over a connection of its own.
        scope.until(lambda state: state.connected)
        assert isinstance(scope.until(lambda state: state.error is not None).error, BrokerSilent)
        assert mute_broker.connections_count >= 2
        assert 0 < mute_broker.results_count <= 20
    port = free_port()
    with run_mosquitto(mosquitto, port):
        watcher = Subscriber(port, raw=True)
        with device(tmp_path, port) as scope:
            for _ in range(100):
                watcher.next("result")
        assert scope.spool.stats().waiting_count == 0
        watcher.close()


def test_live_messages_go_before_the_backlog_which_is_marked(tmp_path: Path, mosquitto: str) -> None:
    port = free_port()
    with bad_proxy(port) as proxy, device(tmp_path, proxy.port) as scope:
        # The subscriber has to be there before the backlog arrives.
        proxy.stall()
        scope.append(200)
        with run_mosquitto(mosquitto, port):
            watcher = Subscriber(port, raw=True)
            proxy.flow()
            scope.until(lambda state: state.connected)
            scope.append(5)
            bodies = [watcher.next("result").payload for _ in range(205)]
            watcher.close()
    replayed = [b'"replayed":true' in body for body in bodies]
    assert replayed.count(False) == 5
    # All of them are sent long before the backlog has been sent at its rate.
    assert max(number for number, late in enumerate(replayed) if not late) < 150


def test_a_quick_restart_is_no_loss(tmp_path: Path, broker_port: int, subscriber: Subscriber) -> None:
    """A delayed will is not sent if the device is back before; the older session sends nothing more."""
    config = write_config(tmp_path, broker_port)
    with running_agent(config) as process:
        first = subscriber.until_state("ready")
        process.kill()
        process.wait()
        with running_agent(config):
            states = [subscriber.next("status").body()]
            while not (states[-1].state == "ready" and states[-1].session != first.session):
                states.append(subscriber.next("status").body())
    assert all(each.state != "lost" for each in states)


def test_a_kill_is_told_by_the_will_with_the_session_that_it_ends(
    tmp_path: Path, broker_port: int, subscriber: Subscriber
) -> None:
    config = write_config(tmp_path, broker_port)
    config.write_text(config.read_text() + "\n[mqtt]\n" if "[mqtt]" not in config.read_text() else config.read_text())
    config.write_text(config.read_text().replace("[mqtt]", "[mqtt]\nwill_delay_s = 0"))
    with running_agent(config) as process:
        first = subscriber.until_state("ready")
        process.kill()
        process.wait()
        lost = subscriber.until_state("lost")
    assert lost.session == first.session
    assert lost.at is not None


def test_a_stalled_connection_is_given_up_and_everything_sent_again(tmp_path: Path, broker_port: int) -> None:
    watcher = Subscriber(broker_port, raw=True)
    with bad_proxy(broker_port) as proxy, device(tmp_path, proxy.port, acknowledge_s=1) as scope:
        scope.until(lambda state: state.connected)
        proxy.stall()
        scope.append(10)
        assert isinstance(scope.until(lambda state: state.error is not None).error, BrokerSilent)
        proxy.flow()
        scope.until(lambda state: state.connected)
        for _ in range(10):
            watcher.next("result")
    watcher.close()
