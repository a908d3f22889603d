"""A clinic's broker with the shipped ``bridge.conf`` and a central one with the shipped ``mosquitto.conf``."""

from __future__ import annotations

import queue
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.cli.local_broker import free_port, run_mosquitto
from tests.mqtt import PATIENCE_S

RESULT = "leukoscope/v1/north-clinic/scope-1/result/camera0"
COMMAND = "leukoscope/v1/north-clinic/scope-1/command/capture"
ANSWER = "leukoscope/v1/north-clinic/scope-1/answer/1"
NOT_OURS = "leukoscope/v1/other-clinic/scope-1/result/camera0"


@dataclass
class Client:
    """Collects the messages that a broker delivers below ``leukoscope/``."""

    port: int
    tls: ssl.SSLContext | None = None
    messages: queue.SimpleQueue[mqtt.MQTTMessage] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if self.tls is not None:
            self.client.tls_set_context(self.tls)
        self.client.on_connect = lambda client, *_: client.subscribe("leukoscope/#", qos=1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda _client, _data, message: self.messages.put(message)
        self.client.connect("localhost", self.port)
        self.client.loop_start()
        assert ready.wait(PATIENCE_S)

    def publish(self, topic: str, body: str, properties: Properties | None = None) -> None:
        self.client.publish(topic, body, qos=1, properties=properties).wait_for_publish(PATIENCE_S)

    def next(self) -> mqtt.MQTTMessage:
        return self.messages.get(timeout=PATIENCE_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def ends(mosquitto: str, repository: Path, tmp_path: Path) -> Iterator[tuple[Client, Client]]:
    """A client at the clinic's broker and a dashboard at the central one."""
    deploy = repository / "deploy" / "mosquitto"
    place = tmp_path / "etc"
    script = deploy / "make-trial-certificates"
    subprocess.run([script, place, "localhost", "north-clinic", "dashboard"], check=True, capture_output=True)
    shutil.copy(deploy / "acl", place)
    for ending in ("crt", "key"):
        shutil.copy(place / f"north-clinic.{ending}", place / f"bridge.{ending}")
    shutil.copy(place / "ca.crt", place / "central-ca.crt")
    central_port, clinic_port = free_port(), free_port()

    def shipped(name: str, *without: str) -> str:
        lines = (deploy / name).read_text().replace("/etc/mosquitto/leukoscope", str(place)).splitlines()
        return "\n".join(["user root", *(line for line in lines if not line.startswith(without))])

    bridge = re.sub(
        r"^address .*", f"address localhost:{central_port}", shipped("bridge.conf", "persistence"), flags=re.MULTILINE
    )
    context = ssl.create_default_context(cafile=place / "ca.crt")
    context.load_cert_chain(place / "dashboard.crt", place / "dashboard.key")
    with (
        run_mosquitto(
            mosquitto, central_port, extra_configuration=shipped("mosquitto.conf", "persistence", "listener")
        ),
        run_mosquitto(mosquitto, clinic_port, extra_configuration=f"allow_anonymous true\n{bridge}"),
    ):
        clinic, central = Client(clinic_port), Client(central_port, context)
        try:
            yield clinic, central
        finally:
            clinic.close()
            central.close()


def test_results_go_up_and_commands_come_down_once_with_what_an_answer_needs(ends: tuple[Client, Client]) -> None:
    clinic, central = ends
    clinic.publish(RESULT, "a result")
    first = central.next()
    assert (first.topic, first.payload) == (RESULT, b"a result")
    asked: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    asked.ResponseTopic, asked.CorrelationData = ANSWER, b"1"
    central.publish(COMMAND, "{}", asked)
    assert clinic.next().topic == RESULT
    command = clinic.next()
    assert command.topic == COMMAND
    got: Any = command.properties
    assert (got.ResponseTopic, got.CorrelationData) == (ANSWER, b"1")
    # The command is also below leukoscope/, and must not be passed back to its source.
    clinic.publish(RESULT, "another")
    assert [central.next().topic, central.next().topic] == [COMMAND, RESULT]


def test_a_clinic_cannot_speak_for_another(ends: tuple[Client, Client]) -> None:
    clinic, central = ends
    clinic.publish(NOT_OURS, "forged")
    clinic.publish(RESULT, "a result")
    assert central.next().topic == RESULT
