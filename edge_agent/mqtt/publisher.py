"""Carries the spool's messages and the device's own state to the broker, for as long as it takes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from edge_agent.contracts import Status, StatusState, Topics
from edge_agent.errors import (
    BrokerDropped,
    BrokerForeign,
    BrokerLimits,
    BrokerRefused,
    BrokerSessionTaken,
    BrokerSilent,
    BrokerUnreachable,
    EdgeAgentError,
    MessageDamaged,
    MessageTooLarge,
)
from edge_agent.mqtt.address import format_address
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.calls import Calls
from edge_agent.mqtt.connection import Connection
from edge_agent.mqtt.connection_events import (
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
from edge_agent.mqtt.credentials import client_id, read_credentials
from edge_agent.mqtt.fallback import UNANSWERED_MAX, Fallback, VersionChoice
from edge_agent.mqtt.flow import SpoolFlow
from edge_agent.mqtt.in_flight import InFlight
from edge_agent.mqtt.limits import ServerLimits
from edge_agent.mqtt.outbox import Outbox
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.mqtt.paho_client import Will
from edge_agent.mqtt.reasons import (
    QOS_NOT_SUPPORTED,
    QUOTA_EXCEEDED,
    RETAIN_NOT_SUPPORTED,
    SESSION_TAKEN_OVER,
    UNSUPPORTED_PROTOCOL_VERSION,
    blames_content,
    explain_disconnect,
    explain_refusal,
)
from edge_agent.mqtt.requests import Request, read_request
from edge_agent.mqtt.rival import RivalWatch
from edge_agent.mqtt.secret_files import exposed_secrets
from edge_agent.mqtt.settings import MqttSettings
from edge_agent.mqtt.suspects import Suspects
from edge_agent.spool.base import Spool
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

STUCK_S = 60.0
"""No piece of the thread's work waits for the network; the disk may take many seconds."""

GOODBYE_S = 1.0
"""For the acknowledgement of the last status."""

_COMMANDS = "commands"
_OWN_STATUS = "own status"
_RIVAL = "rival"
_FLOW = "flow"


@dataclass(frozen=True, slots=True)
class BrokerState:
    """Whether the broker takes our messages now, and what is wrong.

    With an ``error`` while it is ``connected``, the broker lacks or refuses something; the rest is delivered.
    """

    connected: bool
    error: EdgeAgentError | None = None
    version: str | None = None
    """Of MQTT, while it is connected."""


class Publisher:
    """One connection to one broker at a time, and the thread that owns it.

    A message leaves the spool only when the broker has acknowledged it, or is quarantined; see ``SpoolFlow``. After a
    failure the next attempt comes ever later, at a random moment, so that a fleet does not come back all at once.

    All state belongs to the publisher's own thread. The public methods only post calls to it.
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
        self.stall_detector = StallDetector(STUCK_S)
        self._settings = settings
        self._topics = topics
        self._spool = spool
        self._session = session
        self._on_state = on_state
        self._on_request = on_request
        self._on_failure = on_failure
        self._credentials = read_credentials(settings)
        self._address = format_address(settings.host, settings.port)
        self._calls = Calls()
        self._outbox = Outbox(topics, spool)
        self._flow = SpoolFlow(spool, replay_rate_hz, settings.max_in_flight_count, float(settings.reconnect_max_s))
        self._suspects = Suspects()
        self._versions = VersionChoice(settings.version)
        self._backoff = Backoff(float(settings.reconnect_max_s))
        self._broker = BrokerState(connected=False)
        self._complaints: dict[Hashable, EdgeAgentError] = {}
        self._status = self._make_status(StatusState.INIT, None)
        self._connection: Connection | None = None
        self._abandoned: Connection | None = None
        self._limits = ServerLimits()
        self._in_flight = InFlight()
        self._accepts = False
        self._subscriptions: dict[Hashable, str] = {}
        self._unsubscribed: set[Hashable] = set()
        self._provisional: set[Hashable] = set()
        self._released: set[Hashable] = set()
        self._rivals = RivalWatch(session)
        self._retains = Fallback()
        self._unanswered_count = 0
        self._foreign: BrokerForeign | None = None
        self._connected_at = 0.0
        self._attempt_at: float | None = 0.0
        self._stop_at: float | None = None
        self._thread = threading.Thread(target=self._run_and_report, name="publisher", daemon=True)
        for exposed in exposed_secrets(settings):
            log.warning("%s", exposed, extra={"code": exposed.code})

    @property
    def broker(self) -> BrokerState:
        """The last known state of the connection."""
        return self._broker

    def start(self) -> None:
        """Begin to connect, and return at once whether a broker is there or not."""
        self._calls.open()
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the spool."""
        self._calls.wake()

    def set_status(self, state: StatusState, code: str | None = None) -> None:
        """Publish a new status now, or as soon as there is a connection."""
        self._calls.put(lambda: self._change_status(state, code))

    def set_retained(self, topic: str, payload: bytes) -> None:
        """Publish a retained message now and after each connect."""
        self._calls.put(lambda: self._outbox.put_retained(topic, payload))

    def send_metrics(self, payload: bytes) -> None:
        """Publish metrics with QoS 0; while there is no connection the newest are kept."""
        self._calls.put(lambda: self._outbox.put_metrics(payload))

    def answer(self, request: Request, payload: bytes) -> None:
        """Answer a request; while there is no connection the newest answers are kept."""
        self._calls.put(lambda: self._outbox.put_answer(request.answer_topic, payload, request.correlation))

    def stop(self) -> None:
        """Give the broker ``drain_s`` to take what is left, say ``disconnected``, and let go of the connection.

        A broker that does not read costs two seconds more at most; a connection that is still being made is not
        waited for.
        """
        if self._thread.ident is None:
            return
        self._calls.put(self._begin_to_stop)
        self._thread.join()

    def _run_and_report(self) -> None:
        try:
            self._run()
        except BaseException as failure:
            log.critical("the publisher's thread failed", exc_info=failure)
            self._on_failure(failure)
        finally:
            if self._connection is not None:
                self._connection.close()
            self._calls.close()

    def _run(self) -> None:
        while not self._finished():
            self._wait(self._longest_wait_s())
            with self.stall_detector.work():
                self._serve()
                self._run_calls()
                self._on_time()
                self._send_what_waits()
        self._say_goodbye()
        with self.stall_detector.work():
            self._spool.requeue_all()
            left = self._spool.stats().waiting_count
        if left:
            log.warning("stopped with %d messages that the broker has not acknowledged", left)

    def _wait(self, timeout_s: float) -> None:
        connection = self._connection
        if connection is None:
            self._calls.wait(timeout_s, None, writes=False)
        else:
            self._calls.wait(timeout_s, connection.socket, writes=connection.wants_write)

    def _serve(self) -> None:
        connection = self._connection
        if connection is None:
            return
        for event in connection.serve():
            if connection is self._connection:
                self._meet(event, connection)

    def _run_calls(self) -> None:
        while (call := self._calls.next()) is not None:
            call()
            self._send_what_waits()

    def _longest_wait_s(self) -> float:
        moments = [self._status_due_at, self._attempt_at, self._stop_at, self._silent_at()]
        if self._connection is not None:
            moments.append(self._connection.due_at)
        if self._broker.connected and self._has_room() and self._may_flow():
            moments.append(self._flow.due_at())
        return max(0.0, min(moment for moment in moments if moment is not None) - time.monotonic())

    def _silent_at(self) -> float | None:
        # The broker acknowledges in order: the first entry is the oldest.
        oldest = self._in_flight.oldest
        return None if oldest is None else oldest.at_s + self._settings.acknowledge_s

    def _on_time(self) -> None:
        now = time.monotonic()
        if self._attempt_at is not None and now >= self._attempt_at:
            self._attempt_at = None
            self._connect()
        silent_at = self._silent_at()
        if silent_at is not None and now >= silent_at:
            self._be_ignored()
        if now >= self._status_due_at:
            self._change_status(self._status.state, self._status.code)

    def _begin_to_stop(self) -> None:
        self._stop_at = time.monotonic() + self._settings.drain_s

    def _finished(self) -> bool:
        if self._stop_at is None:
            return False
        stats = self._spool.stats()
        drained = not (stats.waiting_count or stats.in_flight_count or self._in_flight or not self._outbox.idle)
        return drained or not self._broker.connected or time.monotonic() >= self._stop_at

    def _say_goodbye(self) -> None:
        # Before the last status: whatever still waits here must not be said after it.
        with self.stall_detector.work():
            self._run_calls()
        connection = self._connection
        if connection is None:
            return
        if self._broker.connected and not self._outbox.withholds(self._topics.status):
            self._status = self._make_status(StatusState.DISCONNECTED, None)
            # Without room for one more acknowledgement it goes without.
            number = self._send(self._status_item(qos=1 if self._has_room() else 0))
            until = time.monotonic() + GOODBYE_S
            connection.flush()
            while number in self._in_flight and self._connection is connection and time.monotonic() < until:
                self._wait(until - time.monotonic())
                with self.stall_detector.work():
                    self._serve()
        if self._connection is connection:
            connection.close(farewell=True)
            self._connection = None

    def _make_status(self, state: StatusState, code: str | None) -> Status:
        at = None if state is StatusState.LOST else datetime.now(UTC)
        self._status_due_at = time.monotonic() + self._settings.heartbeat_s
        return Status(device=self._topics.device, session=self._session, state=state, code=code, at=at)

    def _change_status(self, state: StatusState, code: str | None) -> None:
        self._status = self._make_status(state, code)
        self._outbox.put_status(self._status.to_json(), self._settings.status_expiry_s)

    def _status_item(self, *, qos: int) -> Outgoing:
        topic = self._topics.status
        payload = self._status.to_json()
        return Outgoing(topic, topic, payload, retain=True, qos=qos, expiry_s=self._settings.status_expiry_s)

    def _connect(self) -> None:
        """Begin one attempt."""
        if self._abandoned is not None and self._abandoned.connecting:
            # One thread in a look-up that does not end is enough.
            self._lose(BrokerUnreachable(f"The look-up of {self._settings.host} does not come to an end."))
            return
        self._abandoned = None
        will = self._make_status(StatusState.LOST, None).to_json()
        self._status = self._make_status(self._status.state, self._status.code)
        limits = self._limits
        version_5 = self._versions.is_5
        retain = limits.retain_available if version_5 else self._retains.wanted
        connection = Connection(
            self._settings,
            self._credentials,
            client_id(self._topics.site, self._topics.device),
            version_5=version_5,
            will=Will(self._topics.status, will, qos=min(1, limits.maximum_qos), retain=retain),
            # Not at the first hang-ups, which are those of a broker that starts.
            suspects_tls=self._unanswered_count % (UNANSWERED_MAX + 1) == UNANSWERED_MAX,
            on_change=self.wake,
        )
        self._connection = connection
        connection.open()

    def _meet(self, event: Event, connection: Connection) -> None:
        match event:
            case Accepted():
                self._be_accepted(event, connection)
            case Refused():
                self._be_refused(event)
            case NotReached():
                self._foreign = event.error if isinstance(event.error, BrokerForeign) else None
                self._lose(event.error)
            case Unanswered():
                self._be_unanswered(event, connection)
            case Lost():
                self._be_lost(event)
            case Acknowledged():
                self._be_acknowledged(event)
            case Subscribed():
                self._be_subscribed(event)
            case Received():
                self._receive(event)

    def _receive(self, event: Received) -> None:
        try:
            if event.message.topic == self._topics.status:
                self._look_for_rival(bytes(event.message.payload))
                return
            request = read_request(event.message, self._topics)
        except ValueError as error:
            log.warning("a message that cannot be read came from the broker: %s", error)
        else:
            self._on_request(request)

    def _look_for_rival(self, status: bytes) -> None:
        """Raises ``ValueError`` if that is no status."""
        if self._rivals.sees(status):
            error = BrokerSessionTaken(
                f"Another client also connects to the broker at {self._address} as "
                f"{self._topics.site}/{self._topics.device}; the two keep disconnecting each other."
            )
            self._complain(_RIVAL, error)

    def _be_accepted(self, event: Accepted, connection: Connection) -> None:
        self._unanswered_count, self._foreign = 0, None
        version_5 = connection.version_5
        if not self._versions.accepted() or not (version_5 or self._retains.accepted()):
            log.info("the broker at %s answers now; trying again what it did not answer before", self._address)
            connection.close(farewell=True)
            self._try_again_at_once()
            return
        version = "5" if version_5 else "3.1.1"
        log.info("connected to the broker at %s (MQTT %s)", self._address, version)
        # In 3.1.1 a broker does not say what it can do; what it let pass in the will, it lets pass.
        self._limits = event.limits if version_5 else replace(event.limits, retain_available=self._retains.wanted)
        self._connected_at = time.monotonic()
        self._rivals.accepted()
        self._accepts = False
        self._complaints.clear()
        problem = self._limits.problem(self._address)
        if problem is not None:
            self._complaints[BrokerLimits] = problem
        self._flow.begin()
        self._subscriptions.clear()
        if self._limits.wildcards_available:
            self._subscriptions[_COMMANDS] = self._topics.commands
        if self._rivals.looks:
            self._subscriptions[_OWN_STATUS] = self._topics.status
        self._outbox.begin()
        self._broker = BrokerState(connected=True, version=version)
        self._change_status(self._status.state, self._status.code)
        self._outbox.put_answers()
        if self._limits.retain_available:
            self._outbox.clear_former_topics()
        self._set_broker(BrokerState(connected=True, error=self._complaint(), version=version))

    def _be_refused(self, event: Refused) -> None:
        limits = self._limits
        if event.reason == UNSUPPORTED_PROTOCOL_VERSION and self._versions.refused():
            log.info("the broker at %s has no MQTT 5; using 3.1.1", self._address)
            self._try_again_at_once()
        elif event.reason == RETAIN_NOT_SUPPORTED and limits.retain_available:
            # The last will was to be retained.
            self._limits = replace(limits, retain_available=False)
            self._try_again_at_once()
        elif event.reason == QOS_NOT_SUPPORTED and limits.maximum_qos:
            self._limits = replace(limits, maximum_qos=0)
            self._try_again_at_once()
        else:
            self._lose(explain_refusal(self._address, event.reason, event.text, event.server))

    def _try_again_at_once(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._attempt_at = time.monotonic()

    def _be_unanswered(self, event: Unanswered, connection: Connection) -> None:
        """No CONNACK came. Some brokers that do not understand MQTT 5 only hang up, or say nothing at all."""
        self._unanswered_count += 1
        self._versions.unanswered()
        if not connection.version_5:
            # In 3.1.1 a broker that keeps no retained messages cannot say that it is the last will that it refuses.
            self._retains.unanswered()
        if self._foreign is not None:
            # Known since the last look.
            self._lose(self._foreign)
            return
        remedy = None
        if self._settings.tls is None:
            remedy = "Check that the broker runs, and whether it expects TLS (a section [mqtt.tls]); results wait."
        self._lose(BrokerUnreachable(f"The broker at {self._address} does not answer: {event.text}.", remedy=remedy))

    def _be_lost(self, event: Lost) -> None:
        """The broker had accepted the connection, and now it is gone."""
        self._backoff.ended(time.monotonic() - self._connected_at, delivered=self._flow.delivered)
        self._versions.ended()
        self._retains.ended()
        blamed = True if event.malformed else blames_content(event.reason)
        if blamed is not False and not event.network:
            guilty = self._suspects.lost(self._in_flight.keys, blamed=bool(blamed))
            if guilty is not None:
                self._convict(guilty, f"The broker closes the connection when it receives this: {event.text}.")
        self._rivals.lost(unexplained=event.reason is None and not event.network)
        rival = self._complaints.get(_RIVAL) if event.reason is None else None
        taken = event.reason == SESSION_TAKEN_OVER or rival is not None
        pause_s = self._backoff.next_taken_s() if taken else None
        if rival is not None:
            error: EdgeAgentError = rival
        elif event.reason is not None:
            error = explain_disconnect(self._address, event.reason, event.text, event.server)
        elif self._backoff.drops_count > 1 or (self._backoff.drops_count and self._in_flight and not self._accepts):
            error = BrokerDropped(
                f"The broker at {self._address} accepts connections and closes them again soon: {event.text}."
            )
        else:
            error = BrokerUnreachable(f"The connection to the broker at {self._address} was lost: {event.text}.")
        self._lose(error, retry_s=pause_s)

    def _be_ignored(self) -> None:
        """Nothing, or one message alone, was not acknowledged in time."""
        oldest = self._in_flight.oldest
        if oldest is None:
            return
        overtaken = self._in_flight.is_overtaken(oldest)
        # Once it was passed over it need not be again: where others go through, there may be no more of them.
        passed_over = overtaken or (self._accepts and self._suspects.suspects(oldest.key))
        if passed_over and self._suspects.overtaken(oldest.key):
            self._convict(oldest.key, "The broker does not acknowledge this, though it acknowledges other messages.")
        self._backoff.ended(time.monotonic() - self._connected_at, delivered=self._flow.delivered)
        self._versions.ended()
        self._retains.ended()
        waited = f"{self._settings.acknowledge_s:g} s"
        self._lose(BrokerSilent(f"The broker at {self._address} has acknowledged nothing for {waited}."))

    def _convict(self, key: Hashable, reason: str) -> None:
        """One message must not cost all others the connection."""
        sent = self._in_flight.find(key)
        if not self._accepts:
            # Perhaps it takes nothing at all. That is no fault of a message, and what is withheld has another try.
            if isinstance(key, UUID):
                return
            if key not in self._released:
                self._provisional.add(key)
        until = "the broker accepts something else" if key in self._provisional else "the agent restarts"
        if sent.item is None:
            self._unsubscribed.add(key)
            log.error("the device does not subscribe to its %s until %s: %s", key, until, reason)
        elif isinstance(key, UUID):
            self._flow.quarantine(key, BrokerDropped.code, reason, topic=sent.item.topic)
        else:
            self._outbox.withhold(key)
            log.error("nothing is published on %s until %s: %s", sent.item.topic, until, reason)

    def _lose(self, error: EdgeAgentError, *, retry_s: float | None = None) -> None:
        """There is no connection now: all waits as backlog, and the next attempt is in a while."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            if connection.connecting:
                self._abandoned = connection
        self._in_flight.clear()
        self._complaints.clear()
        self._outbox.end()
        self._flow.end()
        pause_s = self._backoff.next_s()
        self._attempt_at = time.monotonic() + (pause_s if retry_s is None else retry_s)
        self._set_broker(BrokerState(connected=False, error=error))

    def _set_broker(self, state: BrokerState) -> None:
        before, self._broker = self._broker, state
        if state.error is not None and (before.error is None or before.error.message != state.error.message):
            # Once when it begins, not at every attempt.
            log.warning("%s", state.error, extra={"code": state.error.code})
        self._on_state(state)

    def _complaint(self) -> EdgeAgentError | None:
        """What is wrong with the connection that there is."""
        return next(iter(self._complaints.values()), None)

    def _complain(self, key: Hashable, error: EdgeAgentError | None) -> None:
        """Something about the broker is wrong now, or is so no longer."""
        if error is not None:
            known = self._complaints.get(key)
            if known is not None and known.message == error.message:
                return
            self._complaints[key] = error
        else:
            self._complaints.pop(key, None)
        if self._broker.connected and self._complaint() is not self._broker.error:
            self._set_broker(replace(self._broker, error=self._complaint()))

    def _be_subscribed(self, event: Subscribed) -> None:
        sent = self._in_flight.take(event.number)
        if sent is None:
            return
        self._suspects.clear(sent.key)
        if not event.ok and sent.key == _COMMANDS:
            error = BrokerRefused(
                f"The broker at {self._address} does not let this device read its commands: {event.text}.",
                remedy=f"Allow this device to read {self._topics.commands} at the broker.",
            )
            self._complain(_COMMANDS, error)

    def _be_acknowledged(self, event: Acknowledged) -> None:
        sent = self._in_flight.take(event.number)
        if sent is None or sent.item is None:
            return
        self._suspects.clear(sent.key)
        if not event.ok:
            self._be_turned_down(sent.item, event)
            return
        if not self._accepts:
            self._accepts = True
            self._flow.accepts()
            self._release()
        if isinstance(sent.key, UUID):
            self._flow.acknowledged(sent.key)
            self._complain(_FLOW, None)
        else:
            self._outbox.acknowledged(sent.item)
            self._complain(sent.key, None)

    def _release(self) -> None:
        """The broker takes something: what was withheld before it had shown that is said again."""
        provisional, self._provisional = self._provisional, set()
        self._released |= provisional
        self._unsubscribed -= provisional
        self._outbox.release(provisional)
        if self._topics.status in provisional:
            self._change_status(self._status.state, self._status.code)

    def _be_turned_down(self, item: Outgoing, event: Acknowledged) -> None:
        refusal = f"The broker at {self._address} refuses what this device publishes"
        if isinstance(item.key, UUID):
            now = time.monotonic()
            self._flow.refused(item.key, event.reason, event.text, accepts=self._accepts, now=now)
            kind = BrokerLimits if event.reason == QUOTA_EXCEEDED else BrokerRefused
            waits = self._flow.refused_entirely or self._flow.defers
            self._complain(_FLOW, kind(f"{refusal}: {event.text}.") if waits else None)
            return
        self._outbox.refused(item)
        if item.retain and not item.payload:
            log.warning(
                "%s, which this device used under its former name, could not be cleared (%s); to clear it by hand: "
                "mosquitto_pub -r -n -t %s",
                item.topic,
                event.text,
                item.topic,
            )
        elif item.retain:
            remedy = f"Allow this device to write below {self._topics.prefix}/ at the broker."
            self._complain(item.key, BrokerRefused(f"{refusal} on {item.topic}: {event.text}.", remedy=remedy))
        else:
            log.warning("%s on %s: %s", refusal, item.topic, event.text)

    def _has_room(self) -> bool:
        """Whether the broker may be sent one more message with QoS 1."""
        if self._suspects.alone and self._in_flight:
            return False
        return self._in_flight.messages_count < self._limits.receive_maximum

    def _may_flow(self) -> bool:
        """Whether the spool has its turn."""
        if self._limits.maximum_qos < 1:
            return False
        if not self._suspects.any:
            return True
        # What was sent last cost the connection: let the introduction show first that it was not that.
        introduced = self._outbox.idle and not self._subscriptions
        return introduced and all(isinstance(key, UUID) for key in self._in_flight.keys)

    def _send_what_waits(self) -> None:
        if not self._broker.connected or self._connection is None:
            return
        while self._has_room():
            if self._subscriptions:
                # Before the status: whoever sees that the device is there may ask it something.
                key = next(iter(self._subscriptions))
                topic = self._subscriptions.pop(key)
                if key not in self._unsubscribed:
                    self._in_flight.add(self._connection.subscribe(topic), key, None)
                continue
            item = self._outbox.next()
            if item is None and self._may_flow():
                item = self._flow.next(time.monotonic())
                if item is None and self._suspects.any and not self._in_flight and self._flow.idle:
                    self._suspects.clear_all()
            if item is None:
                break
            self._send(item)
        while (metrics := self._outbox.next_metrics()) is not None:
            self._send(metrics)
        self._connection.flush()

    def _send(self, item: Outgoing) -> int | None:
        """Publish as far as the broker's limits let; the number of what is to be acknowledged."""
        connection, limits = self._connection, self._limits
        if connection is None:
            return None
        item = replace(item, qos=min(item.qos, limits.maximum_qos), retain=item.retain and limits.retain_available)
        try:
            size = connection.packet_bytes(item)
            if limits.maximum_packet_bytes is not None and size > limits.maximum_packet_bytes:
                reason = f"Its packet of {size} bytes is larger than the broker's maximum of "
                self._keep_back(item, MessageTooLarge.code, f"{reason}{limits.maximum_packet_bytes}.")
                return None
            number = connection.publish(item)
        except ValueError as error:
            self._keep_back(item, MessageDamaged.code, f"Its topic cannot be used: {error}.")
            return None
        if item.retain and item.payload:
            self._outbox.sent_retained(item.topic)
        if item.qos == 0:
            self._outbox.acknowledged(item)
            return None
        self._in_flight.add(number, item.key, item)
        return number

    def _keep_back(self, item: Outgoing, code: str, reason: str) -> None:
        """The broker need not be asked: it would not take this."""
        self._suspects.clear(item.key)
        if isinstance(item.key, UUID):
            self._flow.quarantine(item.key, code, reason, topic=item.topic)
        else:
            self._outbox.refused(item)
            log.warning("a message for %s is not sent: %s", item.topic, reason, extra={"code": code})
