"""Names that are never looked up, peers that stay silent, and threads that fail: nobody waits for them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from edge_agent.errors import BrokerUnreachable
from edge_agent.mqtt import MqttSettings, Publisher
from edge_agent.spool import MemorySpool
from tests.mqtt import PATIENCE_S
from tests.publishing import TOPICS, scope
from tests.scripted_broker import Session, scripted_broker


class Resolver:
    """Looks nothing up until it is allowed to."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.let = threading.Event()

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.asked.release()
        self.let.wait(PATIENCE_S)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    yield found
    found.let.set()
    for thread in threading.enumerate():
        if thread.name == "mqtt-connect":
            thread.join(PATIENCE_S)


def test_a_stop_does_not_wait_for_a_name_to_be_looked_up(resolver: Resolver) -> None:
    with scope(1883, host="broker.example", drain_s=0) as device:
        assert resolver.asked.acquire(timeout=PATIENCE_S)
        device.append()
        stopping = threading.Thread(target=device.publisher.stop)
        stopping.start()
        # The resolver is released only after this test.
        stopping.join(PATIENCE_S)
        assert not stopping.is_alive()
        assert not resolver.let.is_set()


def test_while_a_name_is_looked_up_calls_are_taken_and_nothing_is_stuck(resolver: Resolver) -> None:
    with scope(1883, host="broker.example") as device:
        assert resolver.asked.acquire(timeout=PATIENCE_S)
        taken = threading.Event()
        device.publisher._calls.put(taken.set)
        assert taken.wait(PATIENCE_S)
        assert not device.publisher.stall_detector.stuck


def test_a_look_up_that_does_not_end_is_reported_and_not_begun_again(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.mqtt.connection.CONNECT_DEADLINE_S", 0.1)
    with scope(1883, host="broker.example") as device:
        for _ in range(3):
            state = device.until(lambda state: state.error is not None)
            assert isinstance(state.error, BrokerUnreachable)
        assert resolver.asked.acquire(timeout=PATIENCE_S)
        assert not resolver.asked.acquire(blocking=False)
        resolver.let.set()
        # The abandoned attempt has ended: the next one is its own.
        assert resolver.asked.acquire(timeout=PATIENCE_S)


def test_a_name_that_is_not_known_says_so() -> None:
    with scope(1883, host="broker.invalid") as device:
        state = device.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerUnreachable)
        assert "broker.invalid" in state.error.message


def test_a_peer_that_says_nothing_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.mqtt.connection.ANSWER_DEADLINE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute, scope(mute.getsockname()[1]) as device:
        state = device.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerUnreachable)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x20\xff\xff\xff\xff\x01",
        b"\x20\x03\x00\x00\xff\x24",
        b"\x20\x00",
        b"\x20\x08\x00\x00\x05\x1f\x00\x02\xff\xfe",
        b"\x90\x00",
        b"\x00" * 100,
        b"\xff" * 100,
    ],
)
def test_nonsense_from_a_peer_never_ends_the_publisher(nonsense: bytes) -> None:
    def script(session: Session) -> None:
        if session.number < 3:
            session.send(nonsense)
            return
        session.accept()
        for message in session.publishes():
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port) as device:
        device.until_acknowledged({device.append()})


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x40\x00",
        b"\x90\x03\x00\x01\x00",
        b"\x30\x05\x00\x03\xff\xfe\xfd",
        b"\x30\x02\x00\x00",
        b"\x0f\x00",
        b"\xe0\x02\x8e\x09",
    ],
)
def test_nonsense_over_a_connection_never_ends_the_publisher(nonsense: bytes) -> None:
    def script(session: Session) -> None:
        session.accept()
        if session.number < 3:
            session.send(nonsense)
        for message in session.publishes():
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port) as device:
        device.until_acknowledged({device.append()})


class FailingSpool(MemorySpool):
    def take(self, *, live: bool) -> None:
        raise RuntimeError("a defect")


def test_a_failure_of_the_thread_is_reported_and_the_stop_still_returns() -> None:
    failures: list[BaseException] = []
    reported = threading.Event()

    def fail(failure: BaseException) -> None:
        failures.append(failure)
        reported.set()

    with scripted_broker() as broker:
        publisher = Publisher(MqttSettings(port=broker.port), TOPICS, FailingSpool(2**20), uuid7(), on_failure=fail)
        publisher.start()
        assert reported.wait(PATIENCE_S)
        publisher.wake()
        publisher.stop()
    assert isinstance(failures[0], RuntimeError)


class SlowSpool(MemorySpool):
    def __init__(self) -> None:
        super().__init__(2**20)
        self.entered, self.let = threading.Event(), threading.Event()

    def take(self, *, live: bool) -> Any:
        self.entered.set()
        self.let.wait(PATIENCE_S)
        return super().take(live=live)


def test_a_piece_of_work_that_takes_too_long_shows_as_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.mqtt.publisher.STUCK_S", -1.0)
    spool = SlowSpool()
    with scripted_broker() as broker:
        publisher = Publisher(MqttSettings(port=broker.port), TOPICS, spool, uuid7())
        publisher.start()
        assert spool.entered.wait(PATIENCE_S)
        assert publisher.stall_detector.stuck
        spool.let.set()
        publisher.stop()
        assert not publisher.stall_detector.stuck
