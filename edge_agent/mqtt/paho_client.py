"""paho's client without a thread of its own: sends packets, and turns the broker's packets into events."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.mqtt.connection_events import Accepted, Acknowledged, Event, Lost, Received, Refused, Subscribed
from edge_agent.mqtt.credentials import Credentials
from edge_agent.mqtt.limits import read_limits
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.mqtt.reasons import describe, server_reference
from edge_agent.mqtt.settings import MqttSettings


class PahoClient:
    """One client for one connection. The owner calls ``read``, ``write`` and ``keep_alive``."""

    def __init__(
        self,
        settings: MqttSettings,
        credentials: Credentials,
        name: str,
        *,
        version_5: bool,
        will: Outgoing | None,
        on_event: Callable[[Event], None],
        on_closed: Callable[[int], None],
    ) -> None:
        """``will`` is the message that the broker publishes for a client that leaves without disconnecting.

        ``on_closed`` gets paho's own reason if the connection ends without a packet from the broker.
        """
        self.accepted = False
        """Whether the broker's CONNACK has accepted the client."""
        self._settings = settings
        self._version_5 = version_5
        self._on_event = on_event
        self._on_closed = on_closed
        self._client = self._make_client(credentials, name, will)

    @property
    def socket(self) -> socket.socket | None:
        """The connection's socket, if there is one."""
        found = self._client.socket()
        return found if isinstance(found, socket.socket) else None

    @property
    def wants_write(self) -> bool:
        """Whether data wait to be written."""
        return self._client.want_write()

    def connect(self, timeout_s: float) -> None:
        """Look up the broker's name, connect, and send CONNECT. Blocks, and raises any error on the way.

        ``timeout_s`` limits a TCP connection to one of the name's addresses, and each step of TLS.
        """
        options: dict[str, object] = {}
        if self._version_5:
            # The session lives as long as the will waits: the will is not published if the client is back by then.
            expiry_s = self._settings.will_delay_s
            options = {
                "clean_start": False,
                "properties": self._properties(PacketTypes.CONNECT, SessionExpiryInterval=expiry_s),
            }
        self._client.connect_timeout = timeout_s
        self._client.connect(
            self._settings.host,
            self._settings.port,
            keepalive=self._settings.keepalive_s,
            **options,  # type: ignore[arg-type]  # two keywords of different types in one mapping
        )

    def read(self) -> None:
        """Read one packet, or as much of it as there is."""
        self._client.loop_read()

    def write(self) -> None:
        """Write as much as can be written now."""
        self._client.loop_write()

    def keep_alive(self) -> None:
        """Send a ping if it is time, and close the connection if the last one was not answered."""
        self._client.loop_misc()

    def publish(self, item: Outgoing) -> int:
        """Send a message and return the number of its packet. Raises ``ValueError`` for a bad topic."""
        if not item.topic or "\0" in item.topic:
            raise ValueError("a topic must not be empty or contain a null character")
        properties = self._publish_properties(item)
        return self._client.publish(item.topic, item.payload, item.qos, item.retain, properties).mid

    def packet_bytes(self, item: Outgoing) -> int:
        """Size of the PUBLISH packet that ``publish`` would send."""
        size = 2 + len(item.topic.encode()) + (2 if item.qos else 0) + len(item.payload)
        if self._version_5:
            properties = self._publish_properties(item)
            size += 1 if properties is None else len(properties.pack())  # type: ignore[no-untyped-call]
        length_bytes = 1 + sum(size >= 128**power for power in (1, 2, 3))
        return 1 + length_bytes + size

    def subscribe(self, topic: str) -> int:
        """Ask for the messages on ``topic`` and return the number of the packet."""
        if self._version_5:
            # Keep the retain flag as published; otherwise it is set only on messages from before the subscription.
            _, number = self._client.subscribe(topic, options=SubscribeOptions(qos=1, retainAsPublished=True))
        else:
            _, number = self._client.subscribe(topic, qos=1)
        return number or 0

    def disconnect(self) -> None:
        """Queue a DISCONNECT, after which the broker does not publish the will."""
        self._client.on_disconnect = None
        self._client.disconnect()

    def drop(self) -> None:
        """Close the socket without a DISCONNECT."""
        self._client.on_disconnect = None
        connection = self._client.socket()
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _make_client(self, credentials: Credentials, name: str, will: Outgoing | None) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=MQTTProtocolVersion.MQTTv5 if self._version_5 else MQTTProtocolVersion.MQTTv311,
            # After a failure a new client is created, so that nothing of the old client is sent again.
            reconnect_on_failure=False,
        )
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = lambda _client, _data, number, reason, properties: self._on_event(
            Acknowledged(number, reason.value, describe(reason, properties))
        )
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _client, _data, message: self._on_event(Received(message))
        # Without these callbacks paho writes by itself, in whatever thread publishes.
        client.on_socket_register_write = lambda *_: None
        client.on_socket_unregister_write = lambda *_: None
        # The publisher counts the messages in flight, of all kinds.
        client.max_inflight_messages_set(0)
        if settings.username is not None:
            password = credentials.password
            client.username_pw_set(settings.username, None if password is None else password.get_secret_value())
        if credentials.tls is not None:
            client.tls_set_context(credentials.tls)
        if will is not None:
            delay = self._properties(PacketTypes.WILLMESSAGE, WillDelayInterval=settings.will_delay_s)
            client.will_set(will.topic, will.payload, qos=will.qos, retain=will.retain, properties=delay)
        return client

    def _publish_properties(self, item: Outgoing) -> Properties | None:
        values: dict[str, object] = {}
        if item.expiry_s is not None:
            values["MessageExpiryInterval"] = item.expiry_s
        if item.correlation is not None:
            values["CorrelationData"] = item.correlation
        return self._properties(PacketTypes.PUBLISH, **values) if values else None

    def _properties(self, packet: int, **values: object) -> Properties | None:
        """MQTT 5's properties of a packet; None in 3.1.1, which has none."""
        if not self._version_5:
            return None
        properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho lacks the hint
        for name, value in values.items():
            setattr(properties, name, value)
        return properties

    def _on_connect(
        self,
        _client: mqtt.Client,
        _data: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._on_event(Refused(reason.value, describe(reason, properties), server_reference(properties)))
            return
        self.accepted = True
        self._on_event(Accepted(read_limits(properties)))

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _data: object,
        number: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        # One topic was asked for. An answer without a reason grants nothing.
        reason = max(reasons, default=ReasonCode(PacketTypes.SUBACK, identifier=0x80))
        self._on_event(Subscribed(number, reason.value, describe(reason, properties)))

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _data: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            kind = Lost if self.accepted else Refused
            self._on_event(kind(reason.value, describe(reason, properties), server_reference(properties)))
        else:
            self._on_closed(reason.value)
