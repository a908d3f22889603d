"""A subscriber and a requester, for tests with a real broker."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import paho.mqtt.client as mqtt
from jsonschema import Draft202012Validator
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from uuid_utils.compat import uuid7

from edge_agent.cli.schema import json_schema
from edge_agent.contracts import MESSAGES, Answer, Status, Topics

PATIENCE_S = 30.0
SAID_TO_DEVICES = {"command", "model-desired"}
MESSAGE_OF_KIND = {"last": "result"}
"""Where the last segment of a topic is not the name of its message."""

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
        if self.kind == "command":
            raise ValueError("a command is not something that a device says")
        content = json.loads(self.payload)
        name = MESSAGE_OF_KIND.get(self.kind, self.kind)
        SCHEMAS[name].validate(content)
        return MESSAGES[name].model_validate(content)


class Subscriber:
    """Sees all that a broker delivers below ``leukoscope/``, and holds it against the contract unless it is ``raw``."""

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        topic: str = "leukoscope/#",
        raw: bool = False,
        version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
    ) -> None:
        self._raw = raw
        self._messages: queue.SimpleQueue[Received] = queue.SimpleQueue()
        ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"subscriber-{uuid7()}", protocol=version)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self._messages.put(
            Received(message.topic, bytes(message.payload), message.retain)
        )
        self._client.connect(host, port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S)

    def next(self, kind: str) -> Received:
        """The next message of a kind, passing over others."""
        return self.next_of({kind})

    def next_of(self, kinds: set[str]) -> Received:
        """The next message of one of these kinds, passing over others."""
        while True:
            message = self._messages.get(timeout=PATIENCE_S)
            if not self._raw and not message.payload:
                # A retained message was cleared.
                continue
            if not self._raw and message.kind not in SAID_TO_DEVICES:
                message.body()
            if message.kind in kinds:
                return message

    def any(self) -> Received:
        """The next message, whatever it is; not held against the contract."""
        return self._messages.get(timeout=PATIENCE_S)

    def until_state(self, state: str) -> Status:
        while True:
            status = self.next("status").body()
            assert isinstance(status, Status)
            if status.state == state:
                return status

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Requester:
    """Asks a device, by MQTT 5's request and response."""

    def __init__(self, port: int, topics: Topics, *, host: str = "127.0.0.1") -> None:
        self.topics = topics
        self._answers: queue.SimpleQueue[tuple[mqtt.MQTTMessage, Answer]] = queue.SimpleQueue()
        ready = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="requester", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._sessions: queue.SimpleQueue[UUID] = queue.SimpleQueue()
        self._client.on_connect = lambda client, *_: client.subscribe([(f"{topics.answers}#", 1), (topics.status, 1)])
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._take
        self._client.connect(host, port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S)

    def _take(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        content = json.loads(message.payload)
        if message.topic == self.topics.status:
            self._sessions.put(UUID(content["session"]))
            return
        SCHEMAS["answer"].validate(content)
        self._answers.put((message, Answer.model_validate(content)))

    def until_there(self, session: UUID) -> None:
        """Wait until that agent listens: it subscribes before it tells its status."""
        while self._sessions.get(timeout=PATIENCE_S) != session:
            pass

    def send(
        self,
        command: str,
        request: object = None,
        *,
        response_topic: str | None = None,
        correlation: bytes | None = None,
        expiry_s: int | None = None,
        retain: bool = False,
    ) -> None:
        """Publish a request: a mapping as JSON, or bytes as they are; None for a new id alone."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if response_topic is not None:
            properties.ResponseTopic = response_topic
        if correlation is not None:
            properties.CorrelationData = correlation
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        payload = request if isinstance(request, bytes) else json.dumps(request or {"id": str(uuid7())}).encode()
        topic = f"{self.topics.prefix}/command/{command}"
        self._client.publish(topic, payload, qos=1, retain=retain, properties=properties).wait_for_publish(PATIENCE_S)

    def throw(self, command: str, payload: bytes) -> None:
        """Publish a payload and go on at once."""
        self._client.publish(f"{self.topics.prefix}/command/{command}", payload, qos=1)

    def next(self) -> tuple[mqtt.MQTTMessage, Answer]:
        """The next answer, with the message that carried it."""
        return self._answers.get(timeout=PATIENCE_S)

    def ask(self, command: str, request: object = None, **options: Any) -> Answer:
        """Send a request and wait for its answer."""
        self.send(command, request, **options)
        return self.next()[1]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
