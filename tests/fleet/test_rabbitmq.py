"""The agent's promises hold with RabbitMQ, too, and its differences are as described in docs/scaling.md."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from uuid_utils.compat import uuid7

from edge_agent.agent import Agent
from edge_agent.contracts import AnswerState, StatusState, Topics
from edge_agent.mqtt import BrokerState, MqttSettings, Publisher, TlsSettings
from edge_agent.mqtt.credentials import client_id
from edge_agent.mqtt.probe import probe_broker
from edge_agent.spool import MemorySpool, Message
from edge_agent.testing.simulated_device import SimulatedDevice
from tests.agents import configuration, running
from tests.fleet.rabbitmq import BROKER_NAME, CLIENTS, PORT, SHIPPED, TLS_PORT, Cluster, Node
from tests.mqtt import PATIENCE_S, Requester, Subscriber


@pytest.fixture
def topics(request: pytest.FixtureRequest) -> Topics:
    """Another device for each test, because retained messages stay."""
    return Topics("clinic", request.node.name.replace("_", "-").lower()[:60].strip("-"))


@pytest.fixture
def node(rabbitmq: Cluster) -> Node:
    return rabbitmq.nodes[0]


def settings(node: Node, **values: Any) -> MqttSettings:
    return MqttSettings.model_validate({"host": node.host.address, "port": PORT, "reconnect_max_s": 1, **values})


@contextmanager
def agent(node: Node, topics: Topics, tmp_path: Path) -> Iterator[Agent]:
    """A whole agent with a drawn camera."""
    config = configuration(
        PORT,
        device={"site": topics.site, "id": topics.device},
        mqtt={"host": node.host.address, "port": PORT, "reconnect_max_s": 1},
        state={"folder": tmp_path / "state"},
        trigger={"mode": "continuous", "interval_s": 0.05},
    )
    with running(config) as found:
        yield found


def test_an_agent_says_everything_that_it_says_elsewhere(node: Node, topics: Topics, tmp_path: Path) -> None:
    with closing(Subscriber(PORT, host=node.host.address, topic=f"{topics.prefix}/#")) as watcher:
        with agent(node, topics, tmp_path):
            missing = {"info", "health", "model-reported", "status", "event", "result"}
            while missing:
                missing.discard(watcher.next_of(missing).kind)
        watcher.until_state(StatusState.DISCONNECTED)


def test_an_agent_is_connected_with_mqtt_5_and_finds_nothing_missing(node: Node, topics: Topics) -> None:
    found = probe_broker(settings(node), topics.site, topics.device)
    assert found.version == "5"
    assert found.limits.problem("it") is None
    assert found.limits.maximum_qos == 1
    assert found.limits.maximum_packet_bytes == 131072


def test_commands_are_answered_with_their_correlation(node: Node, topics: Topics, tmp_path: Path) -> None:
    with closing(Requester(PORT, topics, host=node.host.address)) as requester, agent(node, topics, tmp_path) as found:
        requester.until_there(found.session)
        requester.send("pause", correlation=b"7", response_topic=f"{topics.answers}mine")
        message, answer = requester.next()
        assert (message.topic, answer.state) == (f"{topics.answers}mine", AnswerState.DONE)
        assert message.properties is not None
        assert getattr(message.properties, "CorrelationData", None) == b"7"
        # The same id again gets the same answer.
        once, twice = (requester.ask("resume", {"id": str(answer.id)}) for _ in range(2))
        assert once.state is twice.state is AnswerState.REFUSED


def test_commands_reach_a_device_at_another_node(rabbitmq: Cluster, topics: Topics, tmp_path: Path) -> None:
    first, second, _ = rabbitmq.nodes
    with (
        closing(Requester(PORT, topics, host=second.host.address)) as requester,
        agent(first, topics, tmp_path) as found,
    ):
        requester.until_there(found.session)
        assert requester.ask("capture").state is AnswerState.DONE


def lost(node: Node, topics: Topics, **values: Any) -> SimulatedDevice:
    """A device that has vanished silently."""
    device = SimulatedDevice(topics, settings(node, heartbeat_s=1, **values))
    device.start()
    with closing(Subscriber(PORT, host=node.host.address, topic=topics.status)) as watcher:
        watcher.until_state(StatusState.READY)
        connection = device.publisher._link.connection
        assert connection is not None
        sock = connection.socket
        assert sock is not None
        # No more attempts, and no farewell.
        device.publisher._link._connect = lambda: None  # type: ignore[method-assign]
        sock.shutdown(2)
    return device


def test_the_will_says_that_a_device_is_lost_with_the_session_that_it_had(node: Node, topics: Topics) -> None:
    with closing(Subscriber(PORT, host=node.host.address, topic=topics.status)) as watcher:
        device = lost(node, topics, will_delay_s=1)
        status = watcher.until_state(StatusState.LOST)
        assert (status.session, status.site) == (device.session, topics.site)
        assert status.at is not None


def test_difference_a_will_may_follow_a_quick_restart_and_then_is_of_the_old_session(
    node: Node, topics: Topics
) -> None:
    """RabbitMQ may keep the will of a connection that ends while the next begins. The session rule ignores it."""
    with closing(Subscriber(PORT, host=node.host.address, topic=topics.status)) as watcher:
        gone = lost(node, topics, will_delay_s=2)
        device = SimulatedDevice(topics, settings(node, heartbeat_s=1))
        device.start()
        beats = 0
        while beats < 4:
            status = watcher.next("status").body()
            if status.session == device.session:
                assert status.state in {StatusState.INIT, StatusState.READY}
                beats += 1
            else:
                assert status.session == gone.session
        device.stop()


def retained(node: Node, topic: str) -> list[tuple[str, bytes]]:
    """The messages that a new subscriber gets at once, before a message of its own."""
    found: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
    ready = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = lambda client, *_: client.subscribe([(topic, 1), ("end-of-retained", 1)])
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda _client, _data, message: found.put(message)
    client.connect(node.host.address, PORT)
    client.loop_start()
    assert ready.wait(PATIENCE_S)
    client.publish("end-of-retained", b"", qos=1)
    messages = []
    while (message := found.get(timeout=PATIENCE_S)).topic != "end-of-retained":
        messages.append((message.topic, bytes(message.payload)))
    client.disconnect()
    client.loop_stop()
    return messages


def publish(node: Node, topic: str, payload: bytes) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect(node.host.address, PORT)
    client.loop_start()
    client.publish(topic, payload, qos=1, retain=True).wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()


def test_difference_retained_messages_are_not_found_by_a_wildcard(node: Node, topics: Topics) -> None:
    publish(node, topics.status, b"{}")
    assert retained(node, topics.status) == [(topics.status, b"{}")]
    assert retained(node, f"{topics.prefix}/#") == []


def test_difference_retained_messages_stay_at_one_node(rabbitmq: Cluster, topics: Topics) -> None:
    first, second, _ = rabbitmq.nodes
    publish(first, topics.model_desired, b"{}")
    assert retained(second, topics.model_desired) == []


def test_difference_a_will_with_a_delay_is_not_retained(node: Node, topics: Topics) -> None:
    with closing(Subscriber(PORT, host=node.host.address, topic=topics.status)) as watcher:
        lost(node, topics, will_delay_s=1)
        watcher.until_state(StatusState.LOST)
    [(_, status)] = retained(node, topics.status)
    assert json.loads(status)["state"] == StatusState.READY


def test_a_will_without_a_delay_is_retained_and_the_session_needs_no_quorum_queue(node: Node, topics: Topics) -> None:
    with closing(Subscriber(PORT, host=node.host.address, topic=topics.status)) as watcher:
        device = SimulatedDevice(topics, settings(node, will_delay_s=0))
        device.start()
        watcher.until_state(StatusState.READY)
        queues = dict(line.split("\t")[:2] for line in node.ctl("list_queues", "name", "type").splitlines())
        assert queues[f"mqtt-subscription-{client_id(topics.site, topics.device)}qos1"] == "classic"
        device.stop()
        lost(node, topics, will_delay_s=0)
        watcher.until_state(StatusState.LOST)
    [(_, status)] = retained(node, topics.status)
    assert json.loads(status)["state"] == StatusState.LOST


def test_difference_shared_subscriptions_are_refused(node: Node) -> None:
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = lambda _client, _data, _flags, _reason, properties: answers.put(properties)
    client.connect(node.host.address, PORT)
    client.loop_start()
    properties = answers.get(timeout=PATIENCE_S)
    assert properties.SharedSubscriptionAvailable == 0
    client.disconnect()
    client.loop_stop()


def test_difference_a_message_that_nobody_subscribes_to_is_acknowledged_and_gone(node: Node, topics: Topics) -> None:
    """The same as with mosquitto, but RabbitMQ says so; the agent takes the message as delivered."""
    spool = MemorySpool(2**20)
    states: queue.SimpleQueue[BrokerState] = queue.SimpleQueue()
    publisher = Publisher(settings(node), topics, spool, uuid7(), on_state=states.put)
    publisher.start()
    while not states.get(timeout=PATIENCE_S).connected:
        pass
    spool.append(Message(uuid7(), topics.result("camera0"), b"{}"))
    publisher.stop()
    assert spool.stats().acknowledged_count == 1


def test_a_collectors_session_outlasts_its_node(rabbitmq: Cluster, topics: Topics) -> None:
    """Messages accepted while the collector was away are delivered by another node, after the first was killed."""
    first, second, third = rabbitmq.nodes
    group = f"collector-{topics.device}"

    def connect(node: Node) -> tuple[mqtt.Client, queue.SimpleQueue[bytes], bool]:
        ready: queue.SimpleQueue[bool] = queue.SimpleQueue()
        found: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=group, protocol=MQTTProtocolVersion.MQTTv5)

        def begin(client: mqtt.Client, _data: object, flags: mqtt.ConnectFlags, *_: object) -> None:
            client.subscribe(f"{topics.prefix}/result/+", qos=1)
            ready.put(flags.session_present)

        client.on_connect = begin
        client.on_message = lambda _client, _data, message: found.put(bytes(message.payload))
        options = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        options.SessionExpiryInterval = 3600
        client.connect(node.host.address, PORT, clean_start=False, properties=options)
        client.loop_start()
        return client, found, ready.get(timeout=PATIENCE_S)

    client, _, present = connect(first)
    assert not present
    device = SimulatedDevice(topics, settings(second))
    device.start()
    device.read()
    assert device.wait_until_acknowledged(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    sent = [device.read() for _ in range(50)]
    assert device.wait_until_acknowledged(PATIENCE_S)
    device.stop()
    first.kill()
    client, found, present = connect(third)
    assert present
    wanted = {str(result.id) for result in sent if result is not None}
    while wanted:
        wanted.discard(json.loads(found.get(timeout=PATIENCE_S))["id"])
    client.disconnect()
    client.loop_stop()
    first.start()
    rabbitmq.wait([first])


def test_a_certificate_lets_a_device_write_below_its_own_prefix_only(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CLIENTS:
        node.run_script(SHIPPED / "add-client", name)
    certificates = node.folder / "etc" / "leukoscope"
    site, _, device = CLIENTS[0].partition("/")
    tls = TlsSettings(
        ca_file=certificates / "ca.crt",
        certificate_file=certificates / f"{site}.{device}.crt",
        key_file=certificates / f"{site}.{device}.key",
    )
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **options: look_up(node.host.address if host == BROKER_NAME else host, *more, **options),
    )
    encrypted = MqttSettings(host=BROKER_NAME, port=TLS_PORT, tls=tls, reconnect_max_s=1)
    own, foreign = Topics(site, device), Topics(site, "scope-2")
    with closing(Subscriber(PORT, host=node.host.address, topic="leukoscope/#")) as watcher:
        found = SimulatedDevice(own, encrypted)
        found.start()
        watcher.until_state(StatusState.READY)
        found.read()
        assert watcher.next("result").topic.startswith(own.prefix)
        found.spool.append(Message(uuid7(), foreign.result("camera0"), b"{}"))
        found.read()
        assert found.wait_until_acknowledged(PATIENCE_S)
        assert found.stop().quarantined_count == 1
