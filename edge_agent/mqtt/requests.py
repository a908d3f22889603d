"""A command as it came over MQTT, before anybody has looked into it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt

from edge_agent.contracts import Topics


@dataclass(frozen=True, slots=True)
class Request:
    """What came, and where the answer goes."""

    command: str
    """Last segment of the topic; whatever the sender wrote there."""
    payload: bytes = field(repr=False)
    retained: bool
    deadline_s: float | None
    """``time.monotonic()`` at which it expires; None if it does not."""
    answer_topic: str
    correlation: bytes | None
    misdirected: bool
    """Whether the sender asked for an answer where this device must not write."""


def read_request(message: mqtt.MQTTMessage, topics: Topics) -> Request:
    """Take a message apart. In MQTT 3.1.1 there is no response topic: the answer goes to ``answer/{command}``."""
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
    """A device that wrote wherever it is told to could be made to speak for another."""
    rest = topic.removeprefix(topics.answers)
    return rest not in {topic, ""} and len(topic) <= 256 and not set(rest) & {"+", "#", "\0"}
