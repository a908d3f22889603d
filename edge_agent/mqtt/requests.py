"""A command as received over MQTT, not yet parsed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Self

import paho.mqtt.client as mqtt

from edge_agent.contracts import Topics


@dataclass(frozen=True, slots=True)
class Request:
    """The content of a command, and where its answer goes."""

    command: str
    """Last segment of the topic, unchecked."""
    payload: bytes = field(repr=False)
    retained: bool
    deadline_s: float | None
    """``time.monotonic()`` at which it expires; None if it does not."""
    answer_topic: str
    correlation: bytes | None
    misdirected: bool
    """Whether the sender asked for an answer on a topic that this device must not use."""

    @classmethod
    def local(cls, command: str, payload: bytes) -> Self:
        """A command that did not come over MQTT; its answer goes to whoever submits it."""
        return cls(
            command=command,
            payload=payload,
            retained=False,
            deadline_s=None,
            answer_topic="",
            correlation=None,
            misdirected=False,
        )


def read_request(message: mqtt.MQTTMessage, topics: Topics) -> Request:
    """Read a message. Without a response topic (MQTT 3.1.1) the answer goes to ``answer/{command}``."""
    command = message.topic.rpartition("/")[2]
    properties = message.properties
    wanted = getattr(properties, "ResponseTopic", None)
    expiry_s = getattr(properties, "MessageExpiryInterval", None)
    usable = wanted is None or _may_answer_to(wanted, topics)
    return Request(
        command=command,
        payload=bytes(message.payload),
        retained=message.retain,
        deadline_s=None if expiry_s is None else time.monotonic() + expiry_s,
        answer_topic=wanted if wanted is not None and usable else f"{topics.answers}{command}",
        correlation=getattr(properties, "CorrelationData", None),
        misdirected=not usable,
    )


def _may_answer_to(topic: str, topics: Topics) -> bool:
    """Whether answers may go to ``topic``. A device that answers on any topic could send messages in another's name."""
    rest = topic.removeprefix(topics.answers)
    return rest not in {topic, ""} and len(topic) <= 256 and not set(rest) & {"+", "#", "\0"}
