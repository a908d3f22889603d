"""Sends waiting messages over a connection, and handles the broker's answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import replace
from uuid import UUID

from edge_agent.contracts import StatusState, Topics
from edge_agent.errors import (
    BrokerDropped,
    BrokerLimits,
    BrokerRefused,
    EdgeAgentError,
    MessageDamaged,
    MessageTooLarge,
)
from edge_agent.mqtt.address import format_address
from edge_agent.mqtt.connection import Connection
from edge_agent.mqtt.connection_events import Acknowledged, Subscribed
from edge_agent.mqtt.flow import SpoolFlow
from edge_agent.mqtt.in_flight import InFlight, Sent
from edge_agent.mqtt.limits import ServerLimits
from edge_agent.mqtt.outbox import Outbox
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.mqtt.own_status import OwnStatus
from edge_agent.mqtt.reasons import QUOTA_EXCEEDED
from edge_agent.mqtt.settings import MqttSettings
from edge_agent.mqtt.suspects import Suspects
from edge_agent.mqtt.withheld import Withheld
from edge_agent.spool.base import Spool

log = logging.getLogger(__name__)

_COMMANDS = "commands"
_DESIRED = "desired model"
_OWN_STATUS = "own status"
_SPOOL = "spool"


class Delivery:
    """Sends the subscriptions first, then the messages about the device itself, then the spool.

    One message must not cost all others the connection: a message that the broker refuses for good, closes the
    connection at, or never acknowledges is quarantined if it comes from the spool, and withheld otherwise.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        spool: Spool,
        session: UUID,
        *,
        replay_rate_hz: float,
        on_problem: Callable[[Hashable, EdgeAgentError | None], None],
        listens_to: Collection[str] = (),
    ) -> None:
        """``on_problem`` is called with the error when the broker refuses something, and with None once it accepts it.

        ``listens_to`` are topics of others to subscribe to.
        """
        self._topics = topics
        self._address = format_address(settings.host, settings.port)
        self._acknowledge_s = settings.acknowledge_s
        self._on_problem = on_problem
        self._listens_to = tuple(listens_to)
        self._withheld = Withheld()
        self.outbox = Outbox(topics, spool, self._withheld)
        self.status = OwnStatus(settings, topics, session)
        self._flow = SpoolFlow(
            spool,
            replay_rate_hz,
            settings.max_in_flight_count,
            float(settings.reconnect_max_s),
            settings.settle_s,
        )
        self._suspects = Suspects()
        self._in_flight = InFlight()
        self._connection: Connection | None = None
        self._limits = ServerLimits()
        self._subscriptions: dict[Hashable, str] = {}
        self._accepts = False
        """Whether the broker has accepted a message over this connection."""

    @property
    def idle(self) -> bool:
        """Whether nothing waits in the outbox or for an acknowledgement."""
        return self.outbox.idle and not self._in_flight

    @property
    def delivered(self) -> bool:
        """Whether the broker has accepted a spooled message over this connection."""
        return self._flow.delivered

    @property
    def takes_nothing(self) -> bool:
        """Whether the broker has accepted nothing that was sent over this connection."""
        return bool(self._in_flight) and not self._accepts

    @property
    def overdue_at(self) -> float | None:
        """``time.monotonic()`` at which the broker has been silent for too long."""
        # The broker acknowledges in order: the first entry is the oldest.
        oldest = self._in_flight.oldest
        return None if oldest is None else oldest.at_s + self._acknowledge_s

    def due_at(self) -> float:
        """``time.monotonic()`` at which there may be something to do, even if nothing comes from the broker."""
        moments = [self.status.due_at, self.overdue_at]
        if self._connection is not None and self._has_room() and self._may_take_from_spool():
            moments.append(self._flow.due_at())
        moments.append(self._flow.settles_at)
        return min(moment for moment in moments if moment is not None)

    def awaits(self, number: int | None) -> bool:
        """Whether a message is not acknowledged yet."""
        return number in self._in_flight

    def settle(self) -> None:
        """Delete acknowledged messages from the spool now: the agent is about to disconnect cleanly."""
        self._flow.settle(float("inf"))

    def begin(self, connection: Connection, limits: ServerLimits, *, watch_status: bool) -> None:
        """The broker has accepted a connection. With ``watch_status``, subscribe to the device's own status as well."""
        self._connection, self._limits = connection, limits
        self._in_flight.clear()
        self._accepts = False
        self._flow.begin()
        self._subscriptions.clear()
        if limits.wildcards_available:
            self._subscriptions[_COMMANDS] = self._topics.commands
        self._subscriptions[_DESIRED] = self._topics.model_desired
        self._subscriptions.update({topic: topic for topic in self._listens_to})
        if watch_status:
            self._subscriptions[_OWN_STATUS] = self._topics.status
        self.outbox.begin()
        self.outbox.put_status(self.status.repeat())
        self.outbox.put_answers()
        if limits.retain_available:
            self.outbox.clear_former_topics()

    def end(self) -> None:
        """The connection is gone: everything waits for the next."""
        self._connection = None
        self._in_flight.clear()
        self.outbox.end()
        self._flow.end()

    def set_status(self, state: StatusState, code: str | None) -> None:
        """Publish a new status; without a connection it waits for the next."""
        self.outbox.put_status(self.status.change(state, code))

    def repeat_status_if_due(self) -> None:
        """Publish the status once more if it is due."""
        if time.monotonic() >= self.status.due_at:
            self.outbox.put_status(self.status.repeat())

    def send_waiting(self) -> None:
        """Send as much as the broker allows now."""
        connection = self._connection
        if connection is None:
            return
        self._flow.settle(time.monotonic())
        while self._has_room():
            if self._subscriptions:
                # Before the status: a client that sees the device may send it a command.
                self._subscribe_next(connection)
                continue
            item = self.outbox.next() or self._next_of_spool()
            if item is None:
                break
            self._send(connection, item)
        while (metrics := self.outbox.next_metrics()) is not None:
            self._send(connection, metrics)
        connection.flush()

    def send_goodbye(self) -> int | None:
        """Publish the last status and return the number to await, None if it is not to be acknowledged."""
        connection = self._connection
        if connection is None or self._topics.status in self._withheld:
            return None
        status = self.status.change(StatusState.DISCONNECTED)
        number = self._send(connection, status if self._has_room() else replace(status, qos=0))
        connection.flush()
        return number

    def on_subscribed(self, event: Subscribed) -> None:
        """The broker has answered a subscription."""
        sent = self._in_flight.take(event.number)
        if sent is None:
            return
        self._suspects.clear(sent.key)
        if not event.ok and sent.key == _COMMANDS:
            error = BrokerRefused(
                f"The broker at {self._address} does not let this device read its commands: {event.text}.",
                remedy=f"Allow this device to read {self._topics.commands} at the broker.",
            )
            self._on_problem(_COMMANDS, error)
        elif not event.ok and sent.key == _DESIRED:
            # This alone is no problem: where nobody rolls out models this way, nothing is missing.
            log.warning(
                "the broker at %s does not let this device read %s, so that no model can be rolled out: %s",
                self._address,
                self._topics.model_desired,
                event.text,
            )
        elif not event.ok and sent.key in self._listens_to:
            log.warning("the broker at %s does not let this device read %s: %s", self._address, sent.key, event.text)

    def on_acknowledged(self, event: Acknowledged) -> None:
        """The broker has answered a message."""
        sent = self._in_flight.take(event.number)
        if sent is None or sent.item is None:
            return
        self._suspects.clear(sent.key)
        if not event.ok:
            self._on_refused(sent.item, event)
            return
        if not self._accepts:
            self._accepts = True
            self._flow.retry_unproven()
            self._release_withheld()
        if isinstance(sent.key, UUID):
            self._flow.acknowledged(sent.key, time.monotonic())
            self._on_problem(_SPOOL, None)
        else:
            self.outbox.acknowledged(sent.item)
            self._on_problem(sent.key, None)

    def on_closed(self, reason: str, *, blamed: bool) -> None:
        """The broker has closed the connection, perhaps because of a message. ``blamed`` says that it said so."""
        poison = self._suspects.lost(self._in_flight.keys, blamed=blamed)
        if poison is not None:
            sent = self._in_flight.find(poison)
            self._give_up(sent, f"The broker closes the connection when it receives this: {reason}.")

    def on_overdue(self) -> None:
        """Nothing, or one message alone, was not acknowledged in time."""
        oldest = self._in_flight.oldest
        if oldest is None:
            return
        overtaken = self._in_flight.is_overtaken(oldest)
        # A message that was overtaken before need not be overtaken again: there may be no other message left.
        passed_over = overtaken or (self._accepts and oldest.key in self._suspects)
        if passed_over and self._suspects.overtaken(oldest.key):
            self._give_up(oldest, "The broker does not acknowledge this, though it acknowledges other messages.")

    def _give_up(self, sent: Sent, reason: str) -> None:
        """Stop sending ``sent``."""
        if isinstance(sent.key, UUID):
            # A broker that accepts nothing at all refuses the device, not the message.
            if self._accepts and sent.item is not None:
                self._flow.quarantine(sent.key, BrokerDropped.code, reason, topic=sent.item.topic)
            return
        provisional = self._withheld.add(sent.key, provisional=not self._accepts)
        until = "the broker accepts something else" if provisional else "the agent restarts"
        if sent.item is None:
            log.error("the device does not subscribe to its %s until %s: %s", sent.key, until, reason)
        else:
            self.outbox.refused(sent.item)
            log.error("nothing is published on %s until %s: %s", sent.item.topic, until, reason)

    def _release_withheld(self) -> None:
        """The broker accepts something after all, so send again all that was withheld provisionally."""
        released = self._withheld.release()
        self.outbox.repeat_retained(released)
        if self._topics.status in released:
            self.outbox.put_status(self.status.repeat())

    def _on_refused(self, item: Outgoing, event: Acknowledged) -> None:
        refusal = f"The broker at {self._address} refuses what this device publishes"
        if isinstance(item.key, UUID):
            now = time.monotonic()
            self._flow.refused(item.key, event.reason, event.text, accepts=self._accepts, now=now)
            kind = BrokerLimits if event.reason == QUOTA_EXCEEDED else BrokerRefused
            waits = self._flow.refused_entirely or self._flow.defers
            self._on_problem(_SPOOL, kind(f"{refusal}: {event.text}.") if waits else None)
            return
        self.outbox.refused(item)
        if item.retain and not item.payload:
            log.warning(
                "%s, which this device used before, could not be cleared (%s); to clear it by hand: "
                "mosquitto_pub -r -n -t %s",
                item.topic,
                event.text,
                item.topic,
            )
        elif item.retain:
            own = f"{self._topics.prefix}/"
            where = f"below {own}" if item.topic.startswith(own) else f"on {item.topic}"
            remedy = f"Allow this device to write {where} at the broker."
            self._on_problem(item.key, BrokerRefused(f"{refusal} on {item.topic}: {event.text}.", remedy=remedy))
        else:
            log.warning("%s on %s: %s", refusal, item.topic, event.text)

    def _has_room(self) -> bool:
        """Whether the broker may be sent one more message with QoS 1."""
        if self._suspects.alone and self._in_flight:
            return False
        return self._in_flight.messages_count < self._limits.receive_maximum

    def _may_take_from_spool(self) -> bool:
        if self._limits.maximum_qos < 1:
            return False
        if not self._suspects.any:
            return True
        # The messages sent last cost the connection. Those about the device itself go first, alone, to show whether one
        # of them was the cause.
        introduced = self.outbox.idle and not self._subscriptions
        return introduced and all(isinstance(key, UUID) for key in self._in_flight.keys)

    def _subscribe_next(self, connection: Connection) -> None:
        key = next(iter(self._subscriptions))
        topic = self._subscriptions.pop(key)
        if key not in self._withheld:
            self._in_flight.add(connection.subscribe(topic), key, None)

    def _next_of_spool(self) -> Outgoing | None:
        if not self._may_take_from_spool():
            return None
        item = self._flow.next(time.monotonic())
        if item is None and self._suspects.any and not self._in_flight and self._flow.idle:
            self._suspects.clear_all()
        return item

    def _send(self, connection: Connection, item: Outgoing) -> int | None:
        """Publish within the broker's limits; return the number to await, None if it is not to be acknowledged."""
        item = self._limits.adapt(item)
        maximum_bytes = self._limits.maximum_packet_bytes
        try:
            size = connection.packet_bytes(item)
            if maximum_bytes is not None and size > maximum_bytes:
                reason = f"Its packet of {size} bytes is larger than the broker's maximum of {maximum_bytes}."
                self._reject(item, MessageTooLarge.code, reason)
                return None
            number = connection.publish(item)
        except ValueError as error:
            self._reject(item, MessageDamaged.code, f"Its topic cannot be used: {error}.")
            return None
        if item.retain and item.payload:
            self.outbox.sent_retained(item.topic)
        if item.qos == 0:
            self.outbox.acknowledged(item)
            return None
        self._in_flight.add(number, item.key, item)
        return number

    def _reject(self, item: Outgoing, code: str, reason: str) -> None:
        """The broker could not take this message, so it is not sent."""
        self._suspects.clear(item.key)
        if isinstance(item.key, UUID):
            self._flow.quarantine(item.key, code, reason, topic=item.topic)
        else:
            self.outbox.refused(item)
            log.warning("a message for %s is not sent: %s", item.topic, reason, extra={"code": code})
