"""Maintains the connection to the broker: decides when and with which version to try, and what is wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import UUID

from edge_agent.contracts import Topics
from edge_agent.errors import (
    BrokerDropped,
    BrokerForeign,
    BrokerSessionTaken,
    BrokerSilent,
    BrokerUnreachable,
    EdgeAgentError,
)
from edge_agent.mqtt.address import format_address
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.broker_state import BrokerStateReporter
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
from edge_agent.mqtt.delivery import Delivery
from edge_agent.mqtt.fallback import UNANSWERED_MAX, Fallback, VersionChoice
from edge_agent.mqtt.limits import ServerLimits
from edge_agent.mqtt.reasons import (
    QOS_NOT_SUPPORTED,
    RETAIN_NOT_SUPPORTED,
    SESSION_TAKEN_OVER,
    UNSUPPORTED_PROTOCOL_VERSION,
    blames_content,
    explain_disconnect,
    explain_refusal,
)
from edge_agent.mqtt.requests import Request, read_request
from edge_agent.mqtt.rival import RivalWatch
from edge_agent.mqtt.settings import MqttSettings

log = logging.getLogger(__name__)

_RIVAL = "rival"


class BrokerLink:
    """Makes one connection after another, each for as long as it lasts, and lets ``Delivery`` send over it.

    After each failure the pause before the next attempt grows, with jitter, so that a fleet does not reconnect all at
    once.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        session: UUID,
        delivery: Delivery,
        reporter: BrokerStateReporter,
        *,
        on_request: Callable[[Request], None],
        listeners: Mapping[str, Callable[[bytes], None]],
        on_change: Callable[[], None],
    ) -> None:
        """Raises ``ConfigError`` if password or certificates cannot be read.

        ``listeners`` get the payloads of all topics but the status and the commands, by topic. ``on_change`` is called
        in another thread when ``serve`` should be called.
        """
        self._settings = settings
        self._topics = topics
        self._delivery = delivery
        self._reporter = reporter
        self._on_request = on_request
        self._listeners = listeners
        self._on_change = on_change
        self._credentials = read_credentials(settings)
        self._address = format_address(settings.host, settings.port)
        self._backoff = Backoff(float(settings.reconnect_max_s))
        self._versions = VersionChoice(settings.version)
        self._retains = Fallback()
        self._rivals = RivalWatch(session)
        self._connection: Connection | None = None
        self._abandoned: Connection | None = None
        self._limits = ServerLimits()
        """The limits of the last connection, for the will of the next."""
        self._unanswered_count = 0
        self._foreign: BrokerForeign | None = None
        self._accepted_at = 0.0
        self._attempt_at: float | None = 0.0

    @property
    def connection(self) -> Connection | None:
        """The connection, or the attempt to make one; None between two attempts."""
        return self._connection

    def due_at(self) -> float | None:
        """``time.monotonic()`` at which ``serve`` is to be called, whether the socket is ready or not."""
        return self._attempt_at if self._connection is None else self._connection.due_at

    def serve(self) -> None:
        """Read and write as much as possible now, and react to the events."""
        connection = self._connection
        if connection is None:
            return
        for event in connection.serve():
            if connection is self._connection:
                self._handle(event, connection)

    def check_clock(self) -> None:
        """Begin an attempt if its time has come; end a connection on which nothing is acknowledged."""
        now = time.monotonic()
        if self._attempt_at is not None and now >= self._attempt_at:
            self._attempt_at = None
            self._connect()
        overdue_at = self._delivery.overdue_at
        if overdue_at is not None and now >= overdue_at:
            self._on_overdue()

    def close(self, *, farewell: bool = False) -> None:
        """End the connection at once.

        With ``farewell`` it disconnects properly, so that the broker does not publish the will.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(farewell=farewell)

    def _connect(self) -> None:
        """Begin one attempt."""
        if self._abandoned is not None and self._abandoned.connecting:
            # One thread that hangs in a look-up is enough.
            self._lose(BrokerUnreachable(f"The look-up of {self._settings.host} does not finish."))
            return
        self._abandoned = None
        version_5 = self._versions.is_5
        limits = self._limits if version_5 else replace(self._limits, retain_available=self._retains.wanted)
        self._connection = Connection(
            self._settings,
            self._credentials,
            client_id(self._topics.site, self._topics.device),
            version_5=version_5,
            will=limits.adapt(self._delivery.status.will()),
            # Ignore the first times: a broker that is starting hangs up as well.
            suspects_tls=self._unanswered_count % (UNANSWERED_MAX + 1) == UNANSWERED_MAX,
            on_change=self._on_change,
        )
        self._connection.open()

    def _handle(self, event: Event, connection: Connection) -> None:
        match event:
            case Accepted():
                self._on_accepted(event, connection)
            case Refused():
                self._on_refused(event)
            case NotReached():
                self._foreign = event.error if isinstance(event.error, BrokerForeign) else None
                self._lose(event.error)
            case Unanswered():
                self._on_unanswered(event, connection)
            case Lost():
                self._on_lost(event)
            case Acknowledged():
                self._delivery.on_acknowledged(event)
            case Subscribed():
                self._delivery.on_subscribed(event)
            case Received():
                self._on_received(event)

    def _on_accepted(self, event: Accepted, connection: Connection) -> None:
        self._unanswered_count, self._foreign = 0, None
        version_5 = connection.version_5
        if not self._versions.accepted() or not (version_5 or self._retains.accepted()):
            log.info("the broker at %s answers now; trying again what it did not answer before", self._address)
            self.close(farewell=True)
            self._try_again_at_once()
            return
        version = "5" if version_5 else "3.1.1"
        log.info("connected to the broker at %s (MQTT %s)", self._address, version)
        # In 3.1.1 a broker does not say whether it retains messages. It does if it accepted a will that is retained.
        self._limits = event.limits if version_5 else replace(event.limits, retain_available=self._retains.wanted)
        self._accepted_at = time.monotonic()
        self._rivals.accepted()
        self._delivery.begin(connection, self._limits, watch_status=self._rivals.looks)
        self._reporter.connected(version, self._limits.problem(self._address), connection.certificate_end)

    def _on_refused(self, event: Refused) -> None:
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

    def _on_unanswered(self, event: Unanswered, connection: Connection) -> None:
        """No CONNACK came. Some brokers that do not understand MQTT 5 only hang up, or stay silent."""
        self._unanswered_count += 1
        self._versions.unanswered()
        if not connection.version_5:
            # In 3.1.1 a broker that retains no messages cannot say that this is why it refuses the will.
            self._retains.unanswered()
        if self._foreign is not None:
            # Found at an earlier attempt.
            self._lose(self._foreign)
            return
        remedy = None
        if self._settings.tls is None:
            remedy = "Check that the broker runs, and whether it expects TLS (a section [mqtt.tls]); results wait."
        self._lose(BrokerUnreachable(f"The broker at {self._address} does not answer: {event.text}.", remedy=remedy))

    def _on_lost(self, event: Lost) -> None:
        """The broker had accepted the connection, and now it is gone."""
        self._count_ended()
        blamed = True if event.malformed else blames_content(event.reason)
        if blamed is not False and not event.network:
            self._delivery.on_closed(event.text, blamed=bool(blamed))
        self._rivals.lost(unexplained=event.reason is None and not event.network)
        rival = self._reporter.problem(_RIVAL) if event.reason is None else None
        taken = event.reason == SESSION_TAKEN_OVER or rival is not None
        pause_s = self._backoff.next_taken_s() if taken else None
        self._lose(rival or self._explain_loss(event), retry_s=pause_s)

    def _explain_loss(self, event: Lost) -> EdgeAgentError:
        if event.reason is not None:
            return explain_disconnect(self._address, event.reason, event.text, event.server)
        drops_count = self._backoff.drops_count
        if drops_count > 1 or (drops_count and self._delivery.takes_nothing):
            return BrokerDropped(
                f"The broker at {self._address} accepts connections and closes them again soon: {event.text}."
            )
        return BrokerUnreachable(f"The connection to the broker at {self._address} was lost: {event.text}.")

    def _on_overdue(self) -> None:
        self._delivery.on_overdue()
        self._count_ended()
        waited = f"{self._settings.acknowledge_s:g} s"
        self._lose(BrokerSilent(f"The broker at {self._address} has acknowledged nothing for {waited}."))

    def _on_received(self, event: Received) -> None:
        try:
            if event.message.topic == self._topics.status:
                self._on_own_status(bytes(event.message.payload))
                return
            if (listener := self._listeners.get(event.message.topic)) is not None:
                listener(bytes(event.message.payload))
                return
            request = read_request(event.message, self._topics)
        except ValueError as error:
            log.warning("a message that cannot be read came from the broker: %s", error)
        else:
            self._on_request(request)

    def _on_own_status(self, status: bytes) -> None:
        """Raises ``ValueError`` if it is not a status."""
        if self._rivals.sees(status):
            error = BrokerSessionTaken(
                f"Another client also connects to the broker at {self._address} as "
                f"{self._topics.site}/{self._topics.device}; the two keep disconnecting each other."
            )
            self._reporter.set_problem(_RIVAL, error)

    def _count_ended(self) -> None:
        """An accepted connection has ended: earlier findings about the broker may no longer be true."""
        self._backoff.ended(time.monotonic() - self._accepted_at, delivered=self._delivery.delivered)
        self._versions.ended()
        self._retains.ended()

    def _try_again_at_once(self) -> None:
        self.close()
        self._delivery.end()
        self._attempt_at = time.monotonic()

    def _lose(self, error: EdgeAgentError, *, retry_s: float | None = None) -> None:
        """There is no connection now: everything waits, and the next attempt follows after a pause."""
        connection = self._connection
        self.close()
        if connection is not None and connection.connecting:
            self._abandoned = connection
        self._delivery.end()
        pause_s = self._backoff.next_s()
        self._attempt_at = time.monotonic() + (pause_s if retry_s is None else retry_s)
        self._reporter.disconnected(error)
