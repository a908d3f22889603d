"""Carries the spool's messages and the device's own state to the broker, for as long as it takes."""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from pydantic_core import from_json, to_json

from edge_agent.contracts import Status, StatusState, Topics
from edge_agent.errors import (
    BrokerRefused,
    BrokerSilent,
    BrokerUnreachable,
    BrokerUntrusted,
    CertificateTime,
    EdgeAgentError,
)
from edge_agent.mqtt.requests import Request, read_request
from edge_agent.mqtt.settings import MqttSettings
from edge_agent.spool.base import Message, Spool

log = logging.getLogger(__name__)

UNSUPPORTED_PROTOCOL_VERSION = 132
"""Reason code of a CONNACK (MQTT 5, 3.2.2.2); paho gives it for 3.1.1 brokers too."""

ANSWER_DEADLINE_S = 5.0
"""For the broker's CONNACK."""

UNANSWERED_MAX = 3
"""So many hang-ups in a row without a CONNACK, and the broker may be one that does not understand MQTT 5."""

METRICS_RING = 120
"""An hour of metrics at the usual pace is kept while the broker is away; older ones go."""

_ANSWERS_RING = 20
_OTHERS_IN_FLIGHT = 5
"""Status, info and answers go beside the spool's messages."""


@dataclass(frozen=True, slots=True)
class BrokerState:
    """Whether the broker takes our messages now, and why not."""

    connected: bool
    error: EdgeAgentError | None = None


@dataclass(frozen=True, slots=True)
class _Sent:
    message_id: UUID
    at_s: float


class Publisher:
    """One connection to one broker at a time, and the thread that feeds it.

    A message leaves the spool only when the broker has acknowledged it (PUBACK without an error). With each new
    connection all that was not acknowledged is backlog: live messages go first, the backlog beside them at a limited
    rate, marked ``replayed``. After a failure the next attempt comes ever later, at a random moment, so that a fleet
    does not come back all at once.

    All state belongs to the publisher's own thread. paho's callbacks and the public methods only post calls to it.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        spool: Spool,
        session: UUID,
        *,
        replay_rate_hz: float = 20.0,
        on_state: Callable[[BrokerState], None] = lambda _state: None,
        on_request: Callable[[Request], None] = lambda _request: None,
        on_failure: Callable[[BaseException], None] = lambda _failure: None,
    ) -> None:
        """Raises ``ConfigError`` if password or certificates cannot be read.

        The callbacks are called in the publisher's thread and must not wait; after ``on_failure`` it has ended.
        """
        self._settings = settings
        self._topics = topics
        self._spool = spool
        self._session = session
        self._replay_interval_s = 1 / replay_rate_hz
        self._on_state = on_state
        self._on_request = on_request
        self._on_failure = on_failure
        self._password = settings.password()
        self._tls = None if settings.tls is None else settings.tls.context()
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._in_flight: dict[int, _Sent] = {}
        self._window = settings.max_in_flight_count
        self._backlog_waits = True
        self._replay_at = 0.0
        self._retained: dict[str, bytes] = {}
        self._metrics: deque[bytes] = deque(maxlen=METRICS_RING)
        self._answers: deque[tuple[str, bytes, bytes | None]] = deque(maxlen=_ANSWERS_RING)
        self._broker = BrokerState(connected=False)
        self._status = self._make_status(StatusState.INIT, None)
        self._version_5 = settings.version != "3.1.1"
        self._client: mqtt.Client | None = None
        self._failures = self._unanswered = 0
        self._attempt_at: float | None = 0.0
        self._answer_due_at: float | None = None
        self._stop_at: float | None = None
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

    def set_retained(self, topic: str, payload: bytes) -> None:
        """Publish a retained message now and after each connect."""
        self._calls.put(lambda: self._keep_retained(topic, payload))

    def send_metrics(self, payload: bytes) -> None:
        """Publish metrics with QoS 0; while there is no connection the newest are kept."""
        self._calls.put(lambda: self._take_metrics(payload))

    def answer(self, request: Request, payload: bytes) -> None:
        """Answer a request; while there is no connection the newest answers are kept."""
        self._calls.put(lambda: self._take_answer(request.answer_topic, payload, request.correlation))

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
        while not self._finished():
            with contextlib.suppress(queue.Empty):
                self._calls.get(timeout=self._longest_wait_s())()
            self._on_time()
            self._send_what_waits()
        self._say_goodbye()

    def _longest_wait_s(self) -> float:
        moments = [self._status_due_at, self._attempt_at, self._answer_due_at, self._stop_at]
        if self._broker.connected:
            if self._backlog_waits and len(self._in_flight) < self._window:
                moments.append(self._replay_at)
            moments.append(self._silent_at())
        return max(0.0, min(moment for moment in moments if moment is not None) - time.monotonic())

    def _silent_at(self) -> float | None:
        # Acknowledgements come in order: the first entry is the oldest.
        oldest = next(iter(self._in_flight.values()), None)
        return None if oldest is None else oldest.at_s + self._settings.acknowledge_s

    def _on_time(self) -> None:
        now = time.monotonic()
        if self._attempt_at is not None and now >= self._attempt_at:
            self._attempt_at = None
            self._connect()
        if self._answer_due_at is not None and now >= self._answer_due_at:
            self._hung_up("no answer to CONNECT")
        silent_at = self._silent_at()
        if silent_at is not None and now >= silent_at:
            waited = f"{self._settings.acknowledge_s:g} s"
            self._lose(BrokerSilent(f"The broker at {self._address} has acknowledged nothing for {waited}."))
        if now >= self._status_due_at:
            self._change_status(self._status.state, self._status.code)

    def _send_what_waits(self) -> None:
        while self._broker.connected and self._client is not None and len(self._in_flight) < self._window:
            message = self._spool.take(live=True) or self._take_backlog()
            if message is None:
                return
            handed_over = self._client.publish(message.topic, message.payload, qos=1)
            self._in_flight[handed_over.mid] = _Sent(message.id, time.monotonic())

    def _take_backlog(self) -> Message | None:
        now = time.monotonic()
        if not self._backlog_waits or now < self._replay_at:
            return None
        message = self._spool.take(live=False)
        if message is None:
            self._backlog_waits = False
            return None
        # What was missed of the last tenth of a second may be made up for.
        self._replay_at = max(self._replay_at, now - 0.1) + self._replay_interval_s
        return Message(message.id, message.topic, mark_replayed(message.payload))

    def _begin_to_stop(self) -> None:
        self._stop_at = time.monotonic() + self._settings.drain_s

    def _finished(self) -> bool:
        if self._stop_at is None:
            return False
        stats = self._spool.stats()
        drained = not stats.waiting_count and not stats.in_flight_count
        return drained or not self._broker.connected or time.monotonic() >= self._stop_at

    def _say_goodbye(self) -> None:
        # Before the last status: whatever still waits here must not be told after it.
        self._take_last_calls()
        if self._client is not None and self._broker.connected:
            self._status = self._make_status(StatusState.DISCONNECTED, None)
            goodbye = self._publish_status(self._client)
            try:
                goodbye.wait_for_publish(self._settings.drain_s)
            except (RuntimeError, ValueError) as error:
                log.warning("the last status could not be sent: %s", error)
        if self._client is not None:
            self._client.disconnect()
        self._let_go(grace_s=1.0)
        self._spool.requeue_all()
        left = self._spool.stats().waiting_count
        if left:
            log.warning("stopped with %d messages that the broker has not acknowledged", left)

    def _take_last_calls(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._calls.get_nowait()()

    def _make_status(self, state: StatusState, code: str | None) -> Status:
        at = None if state is StatusState.LOST else datetime.now(UTC)
        self._status_due_at = time.monotonic() + self._settings.heartbeat_s
        return Status(device=self._topics.device, session=self._session, state=state, code=code, at=at)

    def _change_status(self, state: StatusState, code: str | None) -> None:
        self._status = self._make_status(state, code)
        if self._client is not None and self._broker.connected:
            self._publish_status(self._client)

    def _publish_status(self, client: mqtt.Client) -> mqtt.MQTTMessageInfo:
        properties = self._properties(PacketTypes.PUBLISH, MessageExpiryInterval=self._settings.status_expiry_s)
        return client.publish(self._topics.status, self._status.to_json(), qos=1, retain=True, properties=properties)

    def _keep_retained(self, topic: str, payload: bytes) -> None:
        self._retained[topic] = payload
        if self._client is not None and self._broker.connected:
            self._client.publish(topic, payload, qos=1, retain=True)

    def _take_metrics(self, payload: bytes) -> None:
        self._metrics.append(payload)
        self._send_metrics()

    def _send_metrics(self) -> None:
        while self._metrics and self._client is not None and self._broker.connected:
            self._client.publish(self._topics.metrics, self._metrics.popleft(), qos=0)

    def _take_answer(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        self._answers.append((topic, payload, correlation))
        self._send_answers()

    def _send_answers(self) -> None:
        while self._answers and self._client is not None and self._broker.connected:
            topic, payload, correlation = self._answers.popleft()
            properties = None
            if correlation is not None:
                properties = self._properties(PacketTypes.PUBLISH, CorrelationData=correlation)
            self._client.publish(topic, payload, qos=1, properties=properties)

    def _properties(self, packet: int, **values: object) -> Properties | None:
        """MQTT 5's properties of a packet; None in 3.1.1, which has none."""
        if not self._version_5:
            return None
        properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho lacks the hint
        for name, value in values.items():
            setattr(properties, name, value)
        return properties

    @property
    def _address(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"leukoscope-{self._topics.site}-{self._topics.device}",
            protocol=MQTTProtocolVersion.MQTTv5 if self._version_5 else MQTTProtocolVersion.MQTTv311,
            # After a failure this thread makes a new client, so that nothing of the old one is sent again.
            reconnect_on_failure=False,
        )
        client.on_connect = lambda who, _data, _flags, reason, properties: self._calls.put(
            lambda: self._connect_answered(who, reason, properties)
        )
        client.on_disconnect = lambda who, _data, _flags, reason, _properties: self._calls.put(
            lambda: self._disconnected(who, reason)
        )
        client.on_publish = lambda who, _data, number, reason, _properties: self._calls.put(
            lambda: self._acknowledged(who, number, reason)
        )
        client.on_message = lambda who, _data, message: self._calls.put(lambda: self._requested(who, message))
        client.on_subscribe = lambda who, _data, _number, reasons, _properties: self._calls.put(
            lambda: self._subscribed(who, reasons)
        )
        client.connect_timeout = ANSWER_DEADLINE_S
        client.max_inflight_messages_set(self._settings.max_in_flight_count + _OTHERS_IN_FLIGHT)
        if self._settings.username is not None:
            secret = None if self._password is None else self._password.get_secret_value()
            client.username_pw_set(self._settings.username, secret)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        will = self._make_status(StatusState.LOST, None)
        delay = self._properties(PacketTypes.WILLMESSAGE, WillDelayInterval=self._settings.will_delay_s)
        client.will_set(self._topics.status, will.to_json(), qos=1, retain=True, properties=delay)
        return client

    def _connect(self) -> None:
        """One attempt. It may wait for the network: while there is no connection nothing else is to be done."""
        client = self._make_client()
        self._status = self._make_status(self._status.state, self._status.code)
        options: dict[str, object] = {}
        if self._version_5:
            # A session that lives as long as the will waits: a new connection within that time keeps the will unsaid.
            expiry_s = self._settings.will_delay_s
            options = {
                "clean_start": False,
                "properties": self._properties(PacketTypes.CONNECT, SessionExpiryInterval=expiry_s),
            }
        try:
            client.connect(
                self._settings.host,
                self._settings.port,
                keepalive=self._settings.keepalive_s,
                **options,  # type: ignore[arg-type]  # two keywords of different types in one mapping
            )
        except (OSError, ValueError) as error:
            self._lose(explain_failure(error, self._address))
            return
        self._client = client
        self._answer_due_at = time.monotonic() + ANSWER_DEADLINE_S
        client.loop_start()

    def _let_go(self, *, grace_s: float = 0.0) -> None:
        """End the connection and paho's thread, whatever the network does. Its later callbacks count for nothing."""
        client, self._client = self._client, None
        if client is None:
            return
        breaker = threading.Timer(grace_s, _break, [client.socket()])
        breaker.start()
        client.loop_stop()
        breaker.cancel()
        breaker.join()

    def _lose(self, error: EdgeAgentError, *, retry_s: float | None = None) -> None:
        """There is no connection now: all waits as backlog, and the next attempt is in a while."""
        self._answer_due_at = None
        self._let_go()
        self._in_flight.clear()
        self._spool.requeue_all()
        self._failures += 1
        if retry_s is None:
            retry_s = pause_s(self._failures, self._settings.reconnect_max_s)
        self._attempt_at = time.monotonic() + retry_s
        self._set_broker(BrokerState(connected=False, error=error))

    def _set_broker(self, state: BrokerState) -> None:
        before, self._broker = self._broker, state
        if state.error is not None and (before.error is None or before.error.message != state.error.message):
            # Once when it begins, not at every attempt.
            log.warning("%s", state.error)
        self._on_state(state)

    def _connect_answered(self, client: mqtt.Client, reason: ReasonCode, properties: Properties | None) -> None:
        if client is not self._client:
            return
        self._answer_due_at = None
        self._unanswered = 0
        if reason.value == UNSUPPORTED_PROTOCOL_VERSION and self._version_5 and self._settings.version == "auto":
            log.info("the broker at %s has no MQTT 5; using 3.1.1", self._address)
            self._version_5 = False
            self._lose(BrokerRefused(f"The broker at {self._address} has no MQTT 5."), retry_s=0.0)
        elif reason.is_failure:
            self._lose(BrokerRefused(f"The broker at {self._address} refused the connection: {reason}."))
        else:
            version = "5" if self._version_5 else "3.1.1"
            log.info("connected to the broker at %s (MQTT %s)", self._address, version)
            self._failures = 0
            allowed = getattr(properties, "ReceiveMaximum", 65535) - _OTHERS_IN_FLIGHT
            self._window = max(1, min(self._settings.max_in_flight_count, allowed))
            self._spool.requeue_all()
            self._backlog_waits, self._replay_at = True, 0.0
            self._set_broker(BrokerState(connected=True))
            self._introduce(client)

    def _introduce(self, client: mqtt.Client) -> None:
        # Before the status: whoever sees that the device is there may ask it something.
        if self._version_5:
            # With the flag as it was published: else only commands that lay there before would show it.
            client.subscribe(self._topics.commands, options=SubscribeOptions(qos=1, retainAsPublished=True))
        else:
            client.subscribe(self._topics.commands, qos=1)
        for topic, payload in self._retained.items():
            client.publish(topic, payload, qos=1, retain=True)
        self._change_status(self._status.state, self._status.code)
        self._send_answers()
        self._send_metrics()

    def _subscribed(self, client: mqtt.Client, reasons: list[ReasonCode]) -> None:
        if client is self._client and any(reason.is_failure for reason in reasons):
            log.error("%s", BrokerRefused(f"The broker at {self._address} does not let this device read its commands."))

    def _disconnected(self, client: mqtt.Client, reason: ReasonCode) -> None:
        if client is not self._client:
            return
        if self._answer_due_at is not None:
            self._hung_up(str(reason))
        else:
            self._lose(BrokerUnreachable(f"The connection to the broker was lost: {reason}."))

    def _hung_up(self, reason: str) -> None:
        """No CONNACK came. Some brokers that do not understand MQTT 5 only hang up, or say nothing at all."""
        self._unanswered += 1
        if self._settings.version == "auto" and self._unanswered % UNANSWERED_MAX == 0:
            self._version_5 = not self._version_5
        self._lose(BrokerUnreachable(f"The broker at {self._address} does not answer: {reason}."))

    def _acknowledged(self, client: mqtt.Client, number: int, reason: ReasonCode) -> None:
        if client is not self._client:
            return
        sent = self._in_flight.pop(number, None)
        if sent is None:
            return
        if reason.is_failure:
            # No acknowledgement: after a pause everything in flight is sent once more over a new connection.
            self._lose(
                BrokerRefused(f"The broker turned a message down: {reason}."),
                retry_s=float(self._settings.reconnect_max_s),
            )
        else:
            self._spool.acknowledge(sent.message_id)

    def _requested(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        if client is self._client:
            self._on_request(read_request(message, self._topics))


def pause_s(failures_count: int, max_s: float) -> float:
    """How long to wait after so many failures in a row: twice as long each time, and at a random moment."""
    longest_s = min(max_s, 2.0 ** min(failures_count - 1, 20))
    return random.uniform(0.5, 1.0) * longest_s  # noqa: S311 - to spread attempts, not to keep a secret


def mark_replayed(payload: bytes) -> bytes:
    """A spooled message as it is sent late."""
    return to_json({**from_json(payload), "replayed": True})


def _break(connection: object) -> None:
    """Let paho's thread see the end of its connection, which it would else wait for."""
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def explain_failure(error: OSError | ValueError, address: str) -> EdgeAgentError:
    """Why an attempt to connect failed."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=9 | 10):
            return CertificateTime(f"The certificate of {address}: {error.verify_message}.")
        case ssl.SSLCertVerificationError():
            return BrokerUntrusted(f"The certificate of {address}: {error.verify_message}.")
        case ssl.SSLError():
            return BrokerUnreachable(f"{address} does not speak TLS as it should: {error.reason or error}.")
        case socket.gaierror():
            return BrokerUnreachable(f"The name in {address} is not known: {error.strerror}.")
        case OSError():
            return BrokerUnreachable(f"Nobody answers at {address}: {error.strerror or error}.")
    return BrokerUnreachable(f"{address} is no address: {error}.")
