"""Carries the spool's messages and the device's own state to the broker, for as long as it takes."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.contracts import Info, Status, StatusState, Topics
from edge_agent.errors import BrokerRefused, BrokerUnreachable, EdgeAgentError
from edge_agent.messaging.settings import MqttSettings
from edge_agent.messaging.spool import Spool

log = logging.getLogger(__name__)

UNSUPPORTED_PROTOCOL_VERSION = 132
"""Reason code of a CONNACK (MQTT 5, 3.2.2.2); paho gives it for 3.1.1 brokers too."""

_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class BrokerState:
    """Whether the broker takes our messages now, and why not."""

    connected: bool
    error: EdgeAgentError | None = None


class Publisher:
    """One connection to one broker, and the thread that feeds it.

    A message leaves the spool only when the broker has acknowledged it (PUBACK without an error). paho repeats
    what was in flight when a connection breaks; what the broker turned down goes back to the spool.

    All state belongs to the publisher's own thread. paho's callbacks and the public methods only post calls to it.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        spool: Spool,
        info: Info,
        *,
        on_state: Callable[[BrokerState], None] = lambda _state: None,
        on_failure: Callable[[BaseException], None] = lambda _failure: None,
    ) -> None:
        """``info`` is published after each connect. Raises ``ConfigError`` if the password cannot be read.

        ``on_state`` and ``on_failure`` are called in the publisher's thread; after ``on_failure`` it has ended.
        """
        self._settings = settings
        self._topics = topics
        self._spool = spool
        self._info = info
        self._on_state = on_state
        self._on_failure = on_failure
        self._password = settings.password()
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._in_flight: dict[int, UUID] = {}
        self._broker = BrokerState(connected=False)
        self._status = self._make_status(StatusState.INIT, None)
        self._version_5 = settings.version != "3.1.1"
        self._answered = False
        self._restart_at: float | None = None
        self._stop_at: float | None = None
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._run_or_tell, name="publisher", daemon=True)

    @property
    def broker(self) -> BrokerState:
        """The last known state of the connection."""
        return self._broker

    def start(self) -> None:
        """Begin to connect, and return at once whether a broker is there or not."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the spool."""
        self._calls.put(lambda: None)

    def set_status(self, state: StatusState, code: str | None = None) -> None:
        """Publish a new status now, or as soon as there is a connection."""
        self._calls.put(lambda: self._change_status(state, code))

    def stop(self) -> None:
        """Give the broker ``drain_s`` to take what is left, say ``disconnected``, and let go of the connection."""
        if self._thread.ident is None:
            return
        self._calls.put(self._begin_to_stop)
        self._thread.join()

    def _run_or_tell(self) -> None:
        try:
            self._run()
        except BaseException as failure:
            log.critical("the publisher's thread failed", exc_info=failure)
            self._on_failure(failure)

    def _run(self) -> None:
        self._connect()
        while not self._finished():
            with contextlib.suppress(queue.Empty):
                self._calls.get(timeout=self._longest_wait_s())()
            self._on_time()
            self._send_what_waits()
        self._say_goodbye()

    def _longest_wait_s(self) -> float:
        moments = [self._status_due_at]
        moments += [moment for moment in (self._restart_at, self._stop_at) if moment is not None]
        return max(0.0, min(moments) - time.monotonic())

    def _on_time(self) -> None:
        now = time.monotonic()
        if self._restart_at is not None and now >= self._restart_at:
            self._restart_at = None
            self._replace_client()
        if now >= self._status_due_at:
            self._change_status(self._status.state, self._status.code)

    def _send_what_waits(self) -> None:
        while self._broker.connected and len(self._in_flight) < self._settings.max_in_flight_count:
            message = self._spool.take()
            if message is None:
                return
            # If the connection breaks right here, paho keeps the message and sends it after the next connect.
            handed_over = self._client.publish(message.topic, message.payload, qos=1)
            self._in_flight[handed_over.mid] = message.id

    def _begin_to_stop(self) -> None:
        self._stop_at = time.monotonic() + self._settings.drain_s

    def _finished(self) -> bool:
        if self._stop_at is None:
            return False
        stats = self._spool.stats()
        drained = not stats.waiting_count and not stats.in_flight_count
        return drained or not self._broker.connected or time.monotonic() >= self._stop_at

    def _say_goodbye(self) -> None:
        if self._broker.connected:
            self._status = self._make_status(StatusState.DISCONNECTED, None)
            goodbye = self._publish_status()
            try:
                goodbye.wait_for_publish(self._settings.drain_s)
            except (RuntimeError, ValueError) as error:
                log.warning("the last status could not be sent: %s", error)
        self._client.disconnect()
        self._client.loop_stop()
        left = self._spool.stats()
        if left.waiting_count + left.in_flight_count:
            log.warning(
                "stopped with %d results that the broker has not acknowledged",
                left.waiting_count + left.in_flight_count,
            )

    def _make_status(self, state: StatusState, code: str | None) -> Status:
        at = None if state is StatusState.LOST else datetime.now(UTC)
        self._status_due_at = time.monotonic() + self._settings.heartbeat_s
        return Status(device=self._topics.device, session=self._info.session, state=state, code=code, at=at)

    def _change_status(self, state: StatusState, code: str | None) -> None:
        self._status = self._make_status(state, code)
        if self._broker.connected:
            self._publish_status()

    def _publish_status(self) -> mqtt.MQTTMessageInfo:
        properties = None
        if self._version_5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho lacks the hint
            properties.MessageExpiryInterval = self._settings.status_expiry_s
        return self._client.publish(
            self._topics.status, self._status.to_json(), qos=1, retain=True, properties=properties
        )

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"leukoscope-{self._topics.site}-{self._topics.device}",
            protocol=MQTTProtocolVersion.MQTTv5 if self._version_5 else MQTTProtocolVersion.MQTTv311,
        )
        client.on_connect = lambda who, _data, _flags, reason, _properties: self._calls.put(
            lambda: self._connect_answered(who, reason)
        )
        client.on_connect_fail = lambda who, _data: self._calls.put(lambda: self._connect_failed(who))
        client.on_disconnect = lambda who, _data, _flags, reason, _properties: self._calls.put(
            lambda: self._disconnected(who, reason)
        )
        client.on_publish = lambda who, _data, number, reason, _properties: self._calls.put(
            lambda: self._acknowledged(who, number, reason)
        )
        # Status and info go beside the results.
        client.max_inflight_messages_set(self._settings.max_in_flight_count + 5)
        client.reconnect_delay_set(1, self._settings.reconnect_max_s)
        if self._settings.username is not None:
            secret = None if self._password is None else self._password.get_secret_value()
            client.username_pw_set(self._settings.username, secret)
        will = self._make_status(StatusState.LOST, None)
        client.will_set(self._topics.status, will.to_json(), qos=1, retain=True)
        return client

    def _connect(self) -> None:
        self._client.connect_async(self._settings.host, self._settings.port, keepalive=self._settings.keepalive_s)
        self._client.loop_start()

    def _replace_client(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._in_flight.clear()
        self._spool.give_back()
        self._client = self._make_client()
        self._connect()

    def _set_broker(self, state: BrokerState) -> None:
        before, self._broker = self._broker, state
        if state.error is not None and (before.error is None or before.error.message != state.error.message):
            # Once when it begins, not at every attempt.
            log.warning("%s", state.error)
        self._on_state(state)

    def _connect_answered(self, client: mqtt.Client, reason: ReasonCode) -> None:
        if client is not self._client:
            return
        address = f"{self._settings.host}:{self._settings.port}"
        if reason.value == UNSUPPORTED_PROTOCOL_VERSION and self._version_5 and self._settings.version == "auto":
            log.info("the broker at %s has no MQTT 5; using 3.1.1", address)
            self._version_5 = False
            self._replace_client()
        elif reason.is_failure:
            error = BrokerRefused(f"The broker at {address} refused the connection: {reason}.")
            self._set_broker(BrokerState(connected=False, error=error))
        else:
            log.info("connected to the broker at %s (MQTT %s)", address, "5" if self._version_5 else "3.1.1")
            client.publish(self._topics.info, self._info.to_json(), qos=1, retain=True)
            self._set_broker(BrokerState(connected=True))
            self._change_status(self._status.state, self._status.code)

    def _connect_failed(self, client: mqtt.Client) -> None:
        if client is self._client:
            address = f"{self._settings.host}:{self._settings.port}"
            error = BrokerUnreachable(f"Nobody answers at {address}; trying again.")
            self._set_broker(BrokerState(connected=False, error=error))

    def _disconnected(self, client: mqtt.Client, reason: ReasonCode) -> None:
        if client is not self._client:
            return
        answered, self._answered = self._answered, False
        if not answered and self._settings.version == "auto":
            # Some brokers that do not understand a CONNECT hang up instead of answering: try the other version.
            self._version_5 = not self._version_5
            self._restart_at = time.monotonic() + _PAUSE_S
        if self._broker.connected:
            error = BrokerUnreachable(f"The connection to the broker was lost: {reason}.")
            self._set_broker(BrokerState(connected=False, error=error))

    def _acknowledged(self, client: mqtt.Client, number: int, reason: ReasonCode) -> None:
        if client is not self._client:
            return
        message_id = self._in_flight.pop(number, None)
        if message_id is None:
            return
        if reason.is_failure:
            # No acknowledgement: after a pause everything in flight is sent once more over a new connection.
            error = BrokerRefused(f"The broker turned a result down: {reason}.")
            self._set_broker(BrokerState(connected=False, error=error))
            self._restart_at = time.monotonic() + self._settings.reconnect_max_s
        else:
            self._spool.acknowledge(message_id)
