"""One connection to the broker, from the look-up of its name to the disconnect."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from pydantic import SecretStr

from edge_agent.errors import BrokerUnreachable
from edge_agent.mqtt.address import format_address
from edge_agent.mqtt.connection_events import (
    LAST,
    Accepted,
    Acknowledged,
    Event,
    Lost,
    NotReached,
    Received,
    Refused,
    Subscribed,
    Unanswered,
)
from edge_agent.mqtt.limits import ServerLimits, read_limits
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.mqtt.peer import (
    BrokerSocket,
    expects_tls,
    explain_encrypted,
    explain_failure,
    explain_foreign,
    explain_tls_refusal,
    first_bytes,
)
from edge_agent.mqtt.reasons import UNSUPPORTED_PROTOCOL_VERSION, describe, server_reference
from edge_agent.mqtt.settings import MqttSettings

log = logging.getLogger(__name__)

ANSWER_DEADLINE_S = 5.0
"""For a TCP connection to one of the name's addresses, for a step of TLS, and for the broker's CONNACK."""

CONNECT_DEADLINE_S = 30.0
"""For the look-up of the name, TCP and TLS together."""

_PACKETS_MAX = 100
"""Number of packets read before other work has its turn."""

FAREWELL_S = 1.0
"""For the last bytes to leave this machine."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How the client proves its identity, and verifies the broker's."""

    password: SecretStr | None
    tls: ssl.SSLContext | None


def read_credentials(settings: MqttSettings) -> Credentials:
    """Read password and certificates. Raises ``ConfigError`` if they cannot be read or used."""
    return Credentials(settings.password(), None if settings.tls is None else settings.tls.context())


def client_id(site: str, device: str) -> str:
    """The name of a device's session at the broker."""
    return f"leukoscope-{site}-{device}"


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for a client that is gone without disconnecting."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


class Connection:
    """Paho's client without its own thread: the owner calls ``serve`` when the socket is ready.

    Only the look-up of the name, TCP and TLS, which may block for any time, run in a thread. Nothing waits for it:
    ``close`` abandons it, and a connection that it still opens is closed.
    """

    def __init__(
        self,
        settings: MqttSettings,
        credentials: Credentials,
        name: str,
        *,
        version_5: bool,
        will: Will | None = None,
        suspects_tls: bool = False,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """``suspects_tls``: if the server hangs up without an answer, check whether it expects TLS.

        ``on_change`` is called in the connecting thread once that is done.
        """
        self.version_5 = version_5
        self.limits = ServerLimits()
        self.address = format_address(settings.host, settings.port)
        self._settings = settings
        self._credentials = credentials
        self._on_change = on_change
        self._suspects_tls = suspects_tls
        self._events: deque[Event] = deque()
        self._reached = self._accepted = self._over = False
        self._lock = threading.Lock()
        self._abandoned = self._attempted = False
        self._failure: Exception | None = None
        self._due_at: float | None = None
        self._first_bytes = b""
        self._encrypted: BrokerSocket | None = None
        self._unanswered: Unanswered | None = None
        self._expects_tls: bool | None = None
        self._client = self._make_client(name, will)
        self._thread = threading.Thread(target=self._connect, name="mqtt-connect", daemon=True)

    @property
    def connecting(self) -> bool:
        """Whether its thread is still running, also after it was abandoned."""
        return self._thread.is_alive()

    @property
    def due_at(self) -> float | None:
        """``time.monotonic()`` at which ``serve`` is to be called, whether the socket is ready or not."""
        return 0.0 if self._events else self._due_at

    @property
    def socket(self) -> socket.socket | None:
        """What to wait for; None while there is no connection."""
        found = self._client.socket() if self._reached and not self._over else None
        return found if isinstance(found, socket.socket) else None

    @property
    def writes(self) -> bool:
        """Whether something waits to be written."""
        return self._client.want_write()

    def open(self) -> None:
        """Start to connect."""
        self._due_at = time.monotonic() + CONNECT_DEADLINE_S
        self._thread.start()

    def serve(self) -> list[Event]:
        """Read and write what is possible, and return the events. Nothing follows one of ``LAST``."""
        if not self._over:
            if not self._reached:
                self._look_at_attempt()
            if self._unanswered is not None:
                self._look_at_silence(self._unanswered)
            elif self._reached:
                self._exchange()
            self._look_at_clock()
        found = []
        while self._events:
            found.append(self._events.popleft())
            if isinstance(found[-1], LAST):
                self._events.clear()
                self._over = True
        return found

    def flush(self) -> None:
        """Write what can be written now."""
        if self.socket is not None and self._client.want_write():
            self._drive(self._read_all)
            self._drive(self._client.loop_write)

    def publish(self, item: Outgoing) -> int:
        """Send a message, and return the number that its ``Acknowledged`` will have.

        Raises ``ValueError`` for a bad topic.
        """
        if not item.topic or "\0" in item.topic:
            raise ValueError("a topic must not be empty or contain a null character")
        properties = self._publish_properties(item)
        return self._client.publish(item.topic, item.payload, item.qos, item.retain, properties).mid

    def packet_bytes(self, item: Outgoing) -> int:
        """Size of the PUBLISH packet that ``publish`` would send."""
        size = 2 + len(item.topic.encode()) + (2 if item.qos else 0) + len(item.payload)
        if self.version_5:
            properties = self._publish_properties(item)
            size += 1 if properties is None else len(properties.pack())  # type: ignore[no-untyped-call]
        length_bytes = 1 + sum(size >= 128**power for power in (1, 2, 3))
        return 1 + length_bytes + size

    def subscribe(self, topic: str) -> int:
        """Subscribe to ``topic``, and return the number that its ``Subscribed`` will have."""
        if self.version_5:
            # Keep the retain flag as published; otherwise only commands retained before the subscription would show it.
            _, number = self._client.subscribe(topic, options=SubscribeOptions(qos=1, retainAsPublished=True))
        else:
            _, number = self._client.subscribe(topic, qos=1)
        return number or 0

    def close(self, *, farewell: bool = False) -> None:
        """Close it at once. With ``farewell`` it disconnects properly, so that the broker does not publish the will."""
        if farewell and self.socket is not None:
            self._client.on_disconnect = None
            self._client.disconnect()
            until = time.monotonic() + FAREWELL_S
            while (connection := self.socket) is not None and self._client.want_write():
                poll = select.poll()
                poll.register(connection, select.POLLOUT)
                if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                    break
                self._drive(self._client.loop_write)
        self._over = True
        self._due_at = None
        with self._lock:
            self._abandoned = True
            if self._thread.ident is not None and not self._attempted:
                return
        self._drop()

    def _connect(self) -> None:
        """In a thread of its own."""
        options: dict[str, object] = {}
        if self.version_5:
            # A session that lasts as long as the will's delay: a new connection within that time cancels the will.
            expiry_s = self._settings.will_delay_s
            options = {
                "clean_start": False,
                "properties": self._properties(PacketTypes.CONNECT, SessionExpiryInterval=expiry_s),
            }
        failure: Exception | None = None
        try:
            self._client.connect(
                self._settings.host,
                self._settings.port,
                keepalive=self._settings.keepalive_s,
                **options,  # type: ignore[arg-type]  # two keywords of different types in one mapping
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it explains why there is no connection
            failure = error
        with self._lock:
            self._failure = failure
            self._attempted = True
            if self._abandoned:
                self._drop()
        self._on_change()

    def _look_at_attempt(self) -> None:
        with self._lock:
            attempted, failure = self._attempted, self._failure
        if failure is not None:
            self._events.append(NotReached(explain_failure(failure, self.address)))
        elif attempted:
            self._reached = True
            self._due_at = time.monotonic() + ANSWER_DEADLINE_S

    def _try_tls(self) -> None:
        """Runs in its own thread: brokers that expect TLS hang up without an answer."""
        try:
            self._expects_tls = expects_tls(self._settings.host, self._settings.port, ANSWER_DEADLINE_S)
        finally:
            self._on_change()

    def _look_at_silence(self, unanswered: Unanswered) -> None:
        if self._expects_tls:
            self._events.append(NotReached(explain_encrypted(self.address)))
        elif self._expects_tls is not None:
            self._events.append(unanswered)

    def _exchange(self) -> None:
        connection = self.socket
        if isinstance(connection, BrokerSocket):
            self._encrypted = connection
        if not self._first_bytes:
            self._first_bytes = first_bytes(connection)
            # Do not parse the data of a server that is not a broker: it could look like a packet by chance.
            foreign = explain_foreign(self.address, self._first_bytes, encrypted=self._settings.tls is not None)
            if foreign is not None:
                self._events.append(NotReached(foreign))
                return
        self._drive(self._read_all)
        self._drive(self._client.loop_write)
        self._drive(self._client.loop_misc)
        if isinstance(connection, BrokerSocket) and not self._accepted:
            foreign = explain_foreign(self.address, connection.first_bytes, encrypted=True)
            if foreign is not None:
                self._events.clear()
                self._events.append(NotReached(foreign))

    def _drive(self, work: Callable[[], object]) -> None:
        """Let paho read or write. It may raise anything on unexpected data."""
        try:
            work()
        except Exception:
            log.warning("%s sent data that cannot be read", self.address, exc_info=True)
            text = "it sent data that is not valid MQTT"
            self._events.append(Lost(None, text, None, malformed=True) if self._accepted else Unanswered(text))

    def _read_all(self) -> None:
        """Read what has arrived.

        Done before each write, because a failed write would end the connection before its reason is read.
        """
        for _ in range(_PACKETS_MAX):
            self._client.loop_read()
            connection = self.socket
            waits = connection.pending() if isinstance(connection, BrokerSocket) else first_bytes(connection)
            if not waits:
                return

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        if self._accepted:
            # paho sends the pings when it is called.
            self._due_at = now + 1.0
        elif self._due_at is None or now < self._due_at or any(isinstance(event, LAST) for event in self._events):
            return
        elif self._reached:
            self._events.append(Unanswered(f"it sent no answer within {ANSWER_DEADLINE_S:g} s"))
        else:
            error = BrokerUnreachable(f"No connection to {self.address} within {CONNECT_DEADLINE_S:g} s.")
            self._events.append(NotReached(error))

    def _drop(self) -> None:
        """Close the socket without a DISCONNECT."""
        self._client.on_disconnect = None
        connection = self._client.socket()
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _publish_properties(self, item: Outgoing) -> Properties | None:
        values: dict[str, object] = {}
        if item.expiry_s is not None:
            values["MessageExpiryInterval"] = item.expiry_s
        if item.correlation is not None:
            values["CorrelationData"] = item.correlation
        return self._properties(PacketTypes.PUBLISH, **values) if values else None

    def _properties(self, packet: int, **values: object) -> Properties | None:
        """MQTT 5's properties of a packet; None in 3.1.1, which has none."""
        if not self.version_5:
            return None
        properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho lacks the hint
        for name, value in values.items():
            setattr(properties, name, value)
        return properties

    def _make_client(self, name: str, will: Will | None) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=MQTTProtocolVersion.MQTTv5 if self.version_5 else MQTTProtocolVersion.MQTTv311,
            # Each connection has a new client, so that the old one's queue is not sent again.
            reconnect_on_failure=False,
        )
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = lambda _client, _data, number, reason, properties: self._events.append(
            Acknowledged(number, reason.value, describe(reason, properties))
        )
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _client, _data, message: self._events.append(Received(message))
        # With these callbacks set, paho leaves writing to the owner; otherwise it writes in any thread.
        client.on_socket_register_write = lambda *_: None
        client.on_socket_unregister_write = lambda *_: None
        client.connect_timeout = ANSWER_DEADLINE_S
        # The publisher counts what is in flight, for all kinds of messages.
        client.max_inflight_messages_set(0)
        password = self._credentials.password
        if settings.username is not None:
            client.username_pw_set(settings.username, None if password is None else password.get_secret_value())
        if self._credentials.tls is not None:
            client.tls_set_context(self._credentials.tls)
        if will is not None:
            delay = self._properties(PacketTypes.WILLMESSAGE, WillDelayInterval=settings.will_delay_s)
            client.will_set(will.topic, will.payload, qos=will.qos, retain=will.retain, properties=delay)
        return client

    def _on_connect(
        self,
        _client: mqtt.Client,
        _data: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._events.append(Refused(reason.value, describe(reason, properties), server_reference(properties)))
            return
        self._accepted = True
        self.limits = read_limits(properties)
        self._events.append(Accepted(self.limits))

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _data: object,
        number: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        # One topic was requested; an answer without a reason does not grant it.
        reason = max(reasons, default=ReasonCode(PacketTypes.SUBACK, identifier=0x80))
        self._events.append(Subscribed(number, reason.value, describe(reason, properties)))

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _data: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            kind = Lost if self._accepted else Refused
            self._events.append(kind(reason.value, describe(reason, properties), server_reference(properties)))
            return
        # Not sent by the broker, but detected by paho.
        match reason.value:
            case 0x8D:
                text = "it did not answer a ping"
            case 0x82:
                text = "it sent data that is not valid MQTT"
            case _:
                text = "no reason was given"
        if self._encrypted is not None and self._encrypted.refusal is not None:
            text = self._encrypted.refusal
            if not self._accepted:
                self._events.append(NotReached(explain_tls_refusal(self.address, text)))
                return
        if self._accepted:
            self._events.append(Lost(None, text, None, network=reason.value == 0x8D, malformed=reason.value == 0x82))
        elif self._first_bytes[:1] == b"\x20" and self._first_bytes[3:4] == b"\x01":
            # paho does not report a refusal of version 3.1.1.
            self._events.append(Refused(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", None))
        else:
            self._unanswered = Unanswered(f"it closed the connection ({text})")
            if self._encrypted is not None or self._first_bytes or not self._suspects_tls:
                self._events.append(self._unanswered)
            else:
                threading.Thread(target=self._try_tls, name="mqtt-tls", daemon=True).start()
