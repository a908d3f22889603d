"""A subscriber, and the parts of an agent, for tests with a real broker."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import paho.mqtt.client as mqtt
import pytest
from jsonschema import Draft202012Validator
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from uuid_utils.compat import uuid7

from edge_agent.contracts import MESSAGES, Camera, Info, ModelIdentity, Software, Status
from edge_agent.schemas import json_schema

PATIENCE_S = 20.0

SCHEMAS = {name: Draft202012Validator(json_schema(model)) for name, model in MESSAGES.items()}


@dataclass(frozen=True)
class Received:
    topic: str
    payload: bytes
    retained: bool

    @property
    def kind(self) -> str:
        kind, *rest = self.topic.split("/")[4:]
        return f"model-{rest[0]}" if kind == "model" else kind

    def body(self) -> Any:
        """The message, held against the JSON Schema and the model of its topic."""
        content = json.loads(self.payload)
        SCHEMAS[self.kind].validate(content)
        return MESSAGES[self.kind].model_validate(content)


class Subscriber:
    """Sees all that a broker delivers below ``leukoscope/``."""

    def __init__(self, port: int, *, version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5) -> None:
        self._messages: queue.SimpleQueue[Received] = queue.SimpleQueue()
        ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="subscriber", protocol=version)
        self._client.on_connect = lambda client, *_: client.subscribe("leukoscope/#", qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self._messages.put(
            Received(message.topic, bytes(message.payload), message.retain)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S)

    def next(self, kind: str) -> Received:
        """The next message of a kind, passing over others."""
        while True:
            message = self._messages.get(timeout=PATIENCE_S)
            if message.kind == kind:
                return message

    def until_state(self, state: str) -> Status:
        while True:
            status = self.next("status").body()
            assert isinstance(status, Status)
            if status.state == state:
                return status

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def subscriber(broker_port: int) -> Iterator[Subscriber]:
    found = Subscriber(broker_port)
    yield found
    found.close()


@pytest.fixture
def info() -> Info:
    session: UUID = uuid7()
    return Info(
        demonstration=True,
        device="scope-1",
        session=session,
        started_at=datetime.now(UTC),
        machine="test",
        software=Software(leukoscope="0", python="3", opencv="5", runtime="none"),
        cameras=(Camera(id="camera0", kind="synthetic"),),
        model=ModelIdentity(name="demo", version="0.1.0", sha256="0" * 64, preprocessing="rgb@1", runtime="none"),
        schemas=("leukoscope/result/v1",),
    )
