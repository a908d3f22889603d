"""The meaning of the broker's reason codes for a message and for the connection."""

from __future__ import annotations

from enum import Enum

from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.errors import (
    BrokerDropped,
    BrokerError,
    BrokerLimits,
    BrokerMoved,
    BrokerRefused,
    BrokerSessionTaken,
    BrokerUnreachable,
)

PROTOCOL_ERROR = 0x82
UNSUPPORTED_PROTOCOL_VERSION = 0x84
BAD_USER_NAME_OR_PASSWORD = 0x86
NOT_AUTHORIZED = 0x87
SERVER_UNAVAILABLE = 0x88
SERVER_BUSY = 0x89
SERVER_SHUTTING_DOWN = 0x8B
KEEP_ALIVE_TIMEOUT = 0x8D
SESSION_TAKEN_OVER = 0x8E
TOPIC_NAME_INVALID = 0x90
RECEIVE_MAXIMUM_EXCEEDED = 0x93
PACKET_TOO_LARGE = 0x95
MESSAGE_RATE_TOO_HIGH = 0x96
QUOTA_EXCEEDED = 0x97
ADMINISTRATIVE_ACTION = 0x98
PAYLOAD_FORMAT_INVALID = 0x99
RETAIN_NOT_SUPPORTED = 0x9A
QOS_NOT_SUPPORTED = 0x9B
USE_ANOTHER_SERVER = 0x9C
SERVER_MOVED = 0x9D
CONNECTION_RATE_EXCEEDED = 0x9F
MAXIMUM_CONNECT_TIME = 0xA0

SHOWN_MAX = 200
"""Number of characters of a broker's text that are shown."""

_MESSAGE_CODES = frozenset({NOT_AUTHORIZED, TOPIC_NAME_INVALID, PACKET_TOO_LARGE, PAYLOAD_FORMAT_INVALID})

_BLAMING = frozenset(
    {
        0x81,  # malformed packet
        PROTOCOL_ERROR,
        0x83,  # implementation specific error
        NOT_AUTHORIZED,
        TOPIC_NAME_INVALID,
        0x8F,  # topic filter invalid
        PACKET_TOO_LARGE,
        PAYLOAD_FORMAT_INVALID,
        RETAIN_NOT_SUPPORTED,
        QOS_NOT_SUPPORTED,
        0xA2,  # wildcard subscriptions not supported
    }
)
_UNRELATED = frozenset(
    {
        SERVER_BUSY,
        SERVER_SHUTTING_DOWN,
        KEEP_ALIVE_TIMEOUT,
        SESSION_TAKEN_OVER,
        RECEIVE_MAXIMUM_EXCEEDED,
        MESSAGE_RATE_TOO_HIGH,
        QUOTA_EXCEEDED,
        ADMINISTRATIVE_ACTION,
        USE_ANOTHER_SERVER,
        SERVER_MOVED,
        CONNECTION_RATE_EXCEEDED,
        MAXIMUM_CONNECT_TIME,
    }
)
_LIMITS = frozenset(
    {
        RECEIVE_MAXIMUM_EXCEEDED,
        PACKET_TOO_LARGE,
        MESSAGE_RATE_TOO_HIGH,
        QUOTA_EXCEEDED,
        RETAIN_NOT_SUPPORTED,
        QOS_NOT_SUPPORTED,
        CONNECTION_RATE_EXCEEDED,
    }
)


class Refusal(Enum):
    """The meaning of a negative acknowledgement for the message."""

    MESSAGE = "message"
    """This message will be refused again: its topic, size or content is not allowed."""
    TRANSIENT = "transient"
    """Another attempt may succeed: a quota that fills and empties, an error that the broker does not explain."""


def refusal_of(value: int) -> Refusal:
    """The meaning of the reason code of a PUBACK."""
    return Refusal.MESSAGE if value in _MESSAGE_CODES else Refusal.TRANSIENT


def blames_content(value: int | None) -> bool | None:
    """Whether a DISCONNECT was caused by something that was sent. None if it gives no reason."""
    if value in _BLAMING:
        return True
    return False if value in _UNRELATED else None


def shown(text: str) -> str:
    """A broker's text for a log: on one line, without control characters, not too long."""
    escaped = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()
        for character in text[:SHOWN_MAX]
    )
    return f"{escaped}..." if len(text) > SHOWN_MAX else escaped


def describe(reason: ReasonCode | str, properties: Properties | None) -> str:
    """The name of a reason code, with the broker's own text in quotes."""
    said = getattr(properties, "ReasonString", None)
    return f'{reason} ("{shown(said)}")' if said else str(reason)


def server_reference(properties: Properties | None) -> str | None:
    """The server that the broker refers to."""
    reference = getattr(properties, "ServerReference", None)
    return shown(reference) if reference else None


def explain_refusal(address: str, value: int, text: str, server: str | None) -> BrokerError:
    """The error for a CONNACK that refuses the connection."""
    message = f"The broker at {address} refused the connection: {text}."
    if value in {USE_ANOTHER_SERVER, SERVER_MOVED}:
        return _moved(message, server)
    if value in {SERVER_UNAVAILABLE, SERVER_BUSY}:
        return BrokerRefused(message, remedy="Wait, or look at the broker's log and load; results wait meanwhile.")
    if value in _LIMITS:
        return BrokerLimits(message)
    return BrokerRefused(message)


def explain_disconnect(address: str, value: int, text: str, server: str | None) -> BrokerError:
    """The error for a DISCONNECT."""
    message = f"The broker at {address} ended the connection: {text}."
    match value:
        case 0x8E:
            return BrokerSessionTaken(f"Another client took this device's session at the broker at {address}: {text}.")
        case 0x9C | 0x9D:
            return _moved(message, server)
        case 0x00 | 0x8B | 0xA0:
            return BrokerUnreachable(message)
        case 0x87:
            return BrokerRefused(message)
        case _ if value in _LIMITS:
            return BrokerLimits(message)
    return BrokerDropped(message)


def _moved(message: str, server: str | None) -> BrokerMoved:
    if server is None:
        return BrokerMoved(message)
    return BrokerMoved(f"{message[:-1]}; it names {server}.", remedy=f"If you trust it, set mqtt.host to {server}.")
