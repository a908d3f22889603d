"""A connection to the broker that is restored whenever it is lost, and acknowledges nothing by itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.client.settings import BrokerSettings
from edge_agent.errors import (
    BrokerDropped,
    BrokerError,
    BrokerLimits,
    BrokerRefused,
    BrokerSessionTaken,
    BrokerSilent,
    BrokerUnreachable,
    BrokerUntrusted,
)

log = logging.getLogger(__name__)

_CHECK_ACCESS = "Check user name and password, and the account's rights at the broker."

_NO_SHARED_SUBSCRIPTIONS = 0x9E
_SESSION_TAKEN = 0x8E
_ANSWER_S = 10.0
_STABLE_S = 30.0
"""After a connection of this length the pauses between attempts start anew."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription at the broker. ``topic`` may begin with ``$share/GROUP/``: then clients share the messages."""

    topic: str
    qos: int = 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it arrived."""

    topic: str
    payload: bytes = field(repr=False)
    qos: int
    retained: bool
    """Whether the broker had kept the message from before; then it is unknown when it was sent."""
    received_at: datetime
    expiry_s: int | None
    """How long the message stays valid from now on; None if the broker does not say."""
    correlation: bytes | None
    acknowledge: Callable[[], None] = field(repr=False)
    """Acknowledge the message to the broker. Has no effect over a later connection: then the message comes again."""


class Connection:
    """Connects, subscribes, and reconnects. Calls back in the event loop; MQTT 5 only.

    With a ``client_id`` the session is persistent: the broker keeps messages that arrive while the client is away, and
    sends unacknowledged ones again. At most ``receive_maximum_count`` messages are unacknowledged at a time.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        subscriptions: Sequence[Subscription],
        *,
        client_id: str | None = None,
        on_delivery: Callable[[Delivery], None],
        on_change: Callable[[BrokerError | None], None] = lambda _error: None,
    ) -> None:
        """``on_change`` is called with None once everything is subscribed to, and with an error when that ends.

        Raises ``ConfigError`` if a file with a password or certificate cannot be used.
        """
        self._settings = settings
        self._subscriptions = subscriptions
        self._client_id = client_id
        self._on_delivery = on_delivery
        self._on_change = on_change
        self._password = settings.password()
        self._tls = None if settings.tls is None else settings.tls.context()
        self._current: _Link | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until ``stop``. Messages that are unacknowledged then stay with the broker."""
        pause_s, told = 1.0, None
        while not stop.is_set():
            link = _Link(self._make_client(), self._settings, self._on_delivery)
            began = time.monotonic()
            error: BrokerError | None
            try:
                await link.open(self._subscriptions, persistent=self._client_id is not None)
                log.info("connected to %s:%d", self._settings.host, self._settings.port)
                told, self._current = None, link
                self._on_change(None)
                error = await link.until_lost(stop)
            except BrokerError as problem:
                error = problem
            finally:
                self._current = None
                await link.close()
            if error is None or stop.is_set():
                return
            self._on_change(error)
            if told != error.code:
                told = error.code
                log.error("%s", error)
            if time.monotonic() - began > _STABLE_S:
                pause_s = 1.0
            if isinstance(error, BrokerSessionTaken):
                pause_s = self._settings.reconnect_max_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)
            pause_s = min(2 * pause_s, self._settings.reconnect_max_s)

    def publish(self, topic: str, payload: bytes, *, response_topic: str, correlation: bytes, expiry_s: int) -> None:
        """Send a request with QoS 1. Raises ``BrokerUnreachable`` without a connection."""
        if self._current is None:
            raise BrokerUnreachable("There is no connection to the broker.")
        self._current.publish(topic, payload, response_topic, correlation, expiry_s)

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id or "",
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if settings.username is not None:
            client.username_pw_set(
                settings.username, None if self._password is None else self._password.get_secret_value()
            )
        if self._tls is not None:
            client.tls_set_context(self._tls)
        return client


class _Link:
    """One connection from its beginning to its end. paho works in a thread of its own."""

    def __init__(self, client: mqtt.Client, settings: BrokerSettings, on_delivery: Callable[[Delivery], None]) -> None:
        self._client = client
        self._settings = settings
        self._on_delivery = on_delivery
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[BrokerError | None] = self._loop.create_future()
        self._subscribed: asyncio.Future[BrokerError | None] = self._loop.create_future()
        self._lost: asyncio.Future[BrokerError] = self._loop.create_future()
        self._is_open = True
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message

    async def open(self, subscriptions: Sequence[Subscription], *, persistent: bool) -> None:
        """Connect and subscribe. Raises ``BrokerError``."""
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho lacks the hint
        properties.SessionExpiryInterval = settings.session_expiry_s if persistent else 0
        properties.ReceiveMaximum = settings.receive_maximum_count
        address = f"{settings.host}:{settings.port}"

        def connect() -> None:
            self._client.connect(
                settings.host, settings.port, settings.keepalive_s, clean_start=not persistent, properties=properties
            )

        try:
            await self._loop.run_in_executor(None, connect)
        except ssl.SSLCertVerificationError as error:
            raise BrokerUntrusted(
                f"{address}: {error.verify_message}.",
                remedy="Check the file of trusted certificates, and that the broker's name is the one in its own.",
            ) from error
        except (OSError, ValueError) as error:
            raise BrokerUnreachable(
                f"{address}: {error}.", remedy="Check that the broker is running, and its host name and port."
            ) from error
        self._client.loop_start()
        await self._answered(self._connected, f"{address} does not answer.")
        if subscriptions:
            self._client.subscribe([(each.topic, SubscribeOptions(qos=each.qos)) for each in subscriptions])
            await self._answered(self._subscribed, f"{address} does not answer to a subscription.")

    def publish(self, topic: str, payload: bytes, response_topic: str, correlation: bytes, expiry_s: int) -> None:
        """Send a request."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho lacks the hint
        properties.ResponseTopic = response_topic
        properties.CorrelationData = correlation
        properties.MessageExpiryInterval = expiry_s
        self._client.publish(topic, payload, qos=1, properties=properties)

    async def until_lost(self, stop: asyncio.Event) -> BrokerError | None:
        """Why the connection was lost; None if stopped."""
        stopped = asyncio.ensure_future(stop.wait())
        waited: tuple[asyncio.Future[Any], ...] = (stopped, self._lost)
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        return self._lost.result() if self._lost.done() else None

    async def close(self) -> None:
        """Disconnect; the broker keeps a persistent session."""
        self._is_open = False
        self._client.disconnect()
        await self._loop.run_in_executor(None, self._client.loop_stop)

    async def _answered(self, answer: asyncio.Future[BrokerError | None], otherwise: str) -> None:
        waited: tuple[asyncio.Future[Any], ...] = (answer, self._lost)
        await asyncio.wait(waited, timeout=_ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            error = answer.result()
        else:
            error = self._lost.result() if self._lost.done() else BrokerSilent(otherwise)
        if error is not None:
            raise error

    # paho calls these in its thread.

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:  # noqa: ANN401 - paho's signature
        error = None
        if reason.is_failure:
            error = BrokerRefused(f"The broker refuses the connection: {reason}.", remedy=_CHECK_ACCESS)
        self._tell(self._connected, error)

    def _on_subscribe(
        self,
        _client: Any,  # noqa: ANN401 - paho's signature
        _data: Any,  # noqa: ANN401 - paho's signature
        _number: int,
        reasons: list[ReasonCode],
        _properties: Any,  # noqa: ANN401 - paho's signature
    ) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        error: BrokerError | None = None
        if any(reason.value == _NO_SHARED_SUBSCRIPTIONS for reason in refused):
            error = BrokerLimits("The broker has no shared subscriptions.", remedy="Use a broker that has MQTT 5's.")
        elif refused:
            error = BrokerRefused(f"The broker refuses a subscription: {refused[0]}.", remedy=_CHECK_ACCESS)
        self._tell(self._subscribed, error)

    def _on_disconnect(
        self,
        _client: Any,  # noqa: ANN401 - paho's signature
        _data: Any,  # noqa: ANN401 - paho's signature
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Any,  # noqa: ANN401 - paho's signature
    ) -> None:
        error: BrokerError
        if reason.value == _SESSION_TAKEN and flags.is_disconnect_packet_from_server:
            error = BrokerSessionTaken(
                "Another client connected with the same name.", remedy="Give each client a name of its own."
            )
        elif self._connected.done():
            error = BrokerDropped(f"The connection was lost: {reason}.", remedy="It is made again by itself.")
        else:
            error = BrokerRefused(f"The broker closes the connection: {reason}.", remedy=_CHECK_ACCESS)
        self._tell(self._lost, error)

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:  # noqa: ANN401 - paho's signature
        number, qos, properties = message.mid, message.qos, message.properties

        def acknowledge() -> None:
            if qos and self._is_open:
                client.ack(number, qos)

        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = repr(message)
        delivery = Delivery(
            topic=topic,
            payload=bytes(message.payload),
            qos=qos,
            retained=message.retain,
            received_at=datetime.now(UTC),
            expiry_s=getattr(properties, "MessageExpiryInterval", None),
            correlation=getattr(properties, "CorrelationData", None),
            acknowledge=acknowledge,
        )
        self._loop.call_soon_threadsafe(self._deliver, delivery)

    def _deliver(self, delivery: Delivery) -> None:
        if self._is_open:
            self._on_delivery(delivery)

    def _tell(self, future: asyncio.Future[Any], said: BrokerError | None) -> None:
        def tell() -> None:
            if not future.done():
                future.set_result(said)

        self._loop.call_soon_threadsafe(tell)
