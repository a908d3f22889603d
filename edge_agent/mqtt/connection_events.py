"""The events of a connection to the broker."""

from __future__ import annotations

from dataclasses import dataclass

import paho.mqtt.client as mqtt

from edge_agent.errors import BrokerError
from edge_agent.mqtt.limits import ServerLimits


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker's CONNACK accepts the client."""

    limits: ServerLimits


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker's CONNACK refuses the client."""

    reason: int
    text: str
    server: str | None


@dataclass(frozen=True, slots=True)
class NotReached:
    """There is no connection, or not to a broker that speaks MQTT as configured."""

    error: BrokerError


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The server hung up or sent nothing instead of answering CONNECT."""

    text: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection was lost after the broker had accepted it."""

    reason: int | None
    """Reason in the broker's DISCONNECT; None if it sent none."""
    text: str
    server: str | None
    network: bool = False
    """Whether the network failed: the broker did not answer pings."""
    malformed: bool = False
    """Whether the broker sent invalid data."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker's answer to a message with QoS 1."""

    number: int
    reason: int
    text: str

    @property
    def ok(self) -> bool:
        """Whether the broker took the message."""
        return self.reason < 0x80


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker's answer to a subscription."""

    number: int
    reason: int
    text: str

    @property
    def ok(self) -> bool:
        """Whether the broker granted it."""
        return self.reason < 0x80


@dataclass(frozen=True, slots=True)
class Received:
    """A message for this client."""

    message: mqtt.MQTTMessage


Event = Accepted | Refused | NotReached | Unanswered | Lost | Acknowledged | Subscribed | Received
FINAL_EVENTS = (Refused, NotReached, Unanswered, Lost)
"""The events after which nothing follows."""
