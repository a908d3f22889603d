"""The connection to the broker: persistent, shared with other collectors, and nothing is acknowledged by itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.collector.broker_settings import BrokerSettings
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

SHARED = ("result/+", "event", "report", "metrics")
"""Each message goes to one of the collectors of a group."""

STATES = ("status", "health", "info", "model/reported")
"""Retained, and a shared subscription gets none that are: every collector reads them. QoS 0, so that the broker does
not keep old ones for a collector that is away; it reads the newest when it comes back."""

_CHECK_ACCESS = "Check mqtt.username and mqtt.password_file, and the collector's rights at the broker."

_NO_SHARED_SUBSCRIPTIONS = 0x9E
_SESSION_TAKEN = 0x8E
_ANSWER_S = 10.0
_STABLE_S = 30.0
"""After so long the pauses between attempts begin anew."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it arrived."""

    topic: str
    payload: bytes
    qos: int
    retained: bool
    received_at: datetime
    acknowledge: Callable[[], None]
    """Tell the broker that this is stored. Without effect once the connection is another one: then it comes again."""


class BrokerLink:
    """Connects, and connects again; calls back in the event loop."""

    def __init__(
        self,
        settings: BrokerSettings,
        instance: str,
        *,
        on_delivery: Callable[[Delivery], None],
        on_change: Callable[[BrokerError | None], None],
    ) -> None:
        """``on_change`` is called with None once everything is subscribed to, and with an error when that ends.

        Raises ``ConfigError`` if a file with a password or certificate cannot be used.
        """
        self._settings = settings
        self._client_id = f"{settings.group}-{instance}"
        self._on_delivery = on_delivery
        self._on_change = on_change
        self._password = settings.password()
        self._tls = None if settings.tls is None else settings.tls.context()

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until ``stop``. What is unacknowledged then stays with the broker."""
        pause_s, told = 1.0, None
        while not stop.is_set():
            connection = _Connection(self._make_client(), self._settings, self._on_delivery)
            began = time.monotonic()
            error: BrokerError | None
            try:
                await connection.open()
                log.info("connected to %s:%d as %s", self._settings.host, self._settings.port, self._client_id)
                told = None
                self._on_change(None)
                error = await connection.until_lost(stop)
            except BrokerError as problem:
                error = problem
            finally:
                await connection.close()
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

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
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


class _Connection:
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

    async def open(self) -> None:
        """Connect and subscribe. Raises ``BrokerError``."""
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho lacks the hint
        properties.SessionExpiryInterval = settings.session_expiry_s
        properties.ReceiveMaximum = settings.receive_maximum_count
        address = f"{settings.host}:{settings.port}"

        def connect() -> None:
            self._client.connect(
                settings.host, settings.port, settings.keepalive_s, clean_start=False, properties=properties
            )

        try:
            await self._loop.run_in_executor(None, connect)
        except ssl.SSLCertVerificationError as error:
            raise BrokerUntrusted(
                f"{address}: {error.verify_message}.",
                remedy="Check mqtt.tls.ca_file, and that mqtt.host is the name in it.",
            ) from error
        except (OSError, ValueError) as error:
            raise BrokerUnreachable(
                f"{address}: {error}.", remedy="Check that the broker is running, and mqtt.host and mqtt.port."
            ) from error
        self._client.loop_start()
        await self._answered(self._connected, f"{address} does not answer.")
        base = "leukoscope/v1/+/+"
        topics = [
            *((f"$share/{settings.group}/{base}/{each}", SubscribeOptions(qos=1)) for each in SHARED),
            *((f"{base}/{each}", SubscribeOptions(qos=0)) for each in STATES),
        ]
        self._client.subscribe(topics)
        await self._answered(self._subscribed, f"{address} does not answer to a subscription.")

    async def until_lost(self, stop: asyncio.Event) -> BrokerError | None:
        """Why the connection was lost; None if stopped."""
        stopped = asyncio.ensure_future(stop.wait())
        try:
            waited: set[asyncio.Future[Any]] = {stopped, self._lost}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        return self._lost.result() if self._lost.done() else None

    async def close(self) -> None:
        """Disconnect; the broker keeps the session."""
        self._is_open = False
        self._client.disconnect()
        await self._loop.run_in_executor(None, self._client.loop_stop)

    async def _answered(self, answer: asyncio.Future[BrokerError | None], otherwise: str) -> None:
        waited: set[asyncio.Future[Any]] = {answer, self._lost}
        await asyncio.wait(waited, timeout=_ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            error = answer.result()
        else:
            error = self._lost.result() if self._lost.done() else BrokerSilent(otherwise)
        if error is not None:
            raise error

    # paho calls these in its thread.

    def _on_connect(
        self, _client: object, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        error = None
        if reason.is_failure:
            error = BrokerRefused(f"The broker refuses the connection: {reason}.", remedy=_CHECK_ACCESS)
        self._tell(self._connected, error)

    def _on_subscribe(
        self, _client: object, _data: object, _number: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        error: BrokerError | None = None
        if any(reason.value == _NO_SHARED_SUBSCRIPTIONS for reason in refused):
            error = BrokerLimits("The broker has no shared subscriptions.", remedy="Use a broker that has MQTT 5's.")
        elif refused:
            error = BrokerRefused(f"The broker refuses a subscription: {refused[0]}.", remedy=_CHECK_ACCESS)
        self._tell(self._subscribed, error)

    def _on_disconnect(
        self, _client: object, _data: object, flags: mqtt.DisconnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        error: BrokerError
        if reason.value == _SESSION_TAKEN and flags.is_disconnect_packet_from_server:
            error = BrokerSessionTaken(
                "Another collector connected with the same name.", remedy="Give each its own collector.instance."
            )
        elif self._connected.done():
            error = BrokerDropped(
                f"The connection was lost: {reason}.", remedy="Messages wait at the broker meanwhile."
            )
        else:
            error = BrokerRefused(f"The broker closes the connection: {reason}.", remedy=_CHECK_ACCESS)
        self._tell(self._lost, error)

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        number, qos = message.mid, message.qos

        def acknowledge() -> None:
            if qos and self._is_open:
                client.ack(number, qos)

        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = repr(message)
        delivery = Delivery(topic, bytes(message.payload), qos, message.retain, datetime.now(UTC), acknowledge)
        self._loop.call_soon_threadsafe(self._deliver, delivery)

    def _deliver(self, delivery: Delivery) -> None:
        if self._is_open:
            self._on_delivery(delivery)

    def _tell(self, future: asyncio.Future[Any], said: BrokerError | None) -> None:
        def tell() -> None:
            if not future.done():
                future.set_result(said)

        self._loop.call_soon_threadsafe(tell)
