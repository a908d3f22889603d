"""One connection to the broker, from the look-up of its name to the disconnect."""

from __future__ import annotations

import logging
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

from edge_agent.errors import BrokerUnreachable
from edge_agent.mqtt.address import format_address
from edge_agent.mqtt.background_call import BackgroundCall
from edge_agent.mqtt.connection_events import FINAL_EVENTS, Event, Lost, NotReached, Refused, Unanswered
from edge_agent.mqtt.credentials import Credentials
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.mqtt.paho_client import PahoClient
from edge_agent.mqtt.peer import (
    BrokerSocket,
    certificate_end,
    expects_tls,
    explain_encrypted,
    explain_failure,
    explain_foreign,
    explain_tls_refusal,
    first_bytes,
)
from edge_agent.mqtt.reasons import KEEP_ALIVE_TIMEOUT, PROTOCOL_ERROR, UNSUPPORTED_PROTOCOL_VERSION
from edge_agent.mqtt.settings import MqttSettings

log = logging.getLogger(__name__)

ANSWER_DEADLINE_S = 5.0
"""Limit for a TCP connection to one of the name's addresses, for a step of TLS, and for the broker's CONNACK."""

CONNECT_DEADLINE_S = 30.0
"""Limit for the look-up of the name, TCP and TLS together."""

FAREWELL_S = 1.0
"""Limit for the last bytes to leave this machine."""

_PACKETS_MAX = 100
"""Packets that are read before other work has its turn."""


class Connection:
    """An attempt to connect and, if it succeeds, the connection.

    The owner calls ``serve``. Only the look-up of the name, TCP and TLS, which may block for any time, run in a thread.
    Nothing waits for that thread: ``close`` abandons it, and a connection that it makes afterwards is closed.
    """

    def __init__(
        self,
        settings: MqttSettings,
        credentials: Credentials,
        name: str,
        *,
        version_5: bool,
        will: Outgoing | None = None,
        suspects_tls: bool = False,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """``will`` is the message that the broker publishes if the connection ends without a DISCONNECT.

        ``suspects_tls``: if the server hangs up without an answer, check whether it expects TLS.

        ``on_change`` is called in another thread when ``serve`` should be called.
        """
        self.version_5 = version_5
        self.address = format_address(settings.host, settings.port)
        self._encrypted = settings.tls is not None
        self._suspects_tls = suspects_tls
        self._events: deque[Event] = deque()
        self._client = PahoClient(
            settings,
            credentials,
            name,
            version_5=version_5,
            will=will,
            on_event=self._events.append,
            on_closed=self._on_closed,
        )
        self._attempt = BackgroundCall(
            lambda: self._client.connect(ANSWER_DEADLINE_S),
            name="mqtt-connect",
            on_done=on_change,
            discard=self._client.drop,
        )
        self._tls_check = BackgroundCall(
            lambda: expects_tls(settings.host, settings.port, ANSWER_DEADLINE_S), name="mqtt-tls", on_done=on_change
        )
        self._reached = self._over = False
        self._due_at: float | None = None
        self._first_bytes = b""
        self._tls_socket: BrokerSocket | None = None
        self._hung_up: Unanswered | None = None
        """The event, held back while ``_tls_check`` finds out why the server hung up."""

    @property
    def connecting(self) -> bool:
        """Whether its thread is still at work, even after ``close``."""
        return self._attempt.running

    @property
    def due_at(self) -> float | None:
        """``time.monotonic()`` at which ``serve`` is to be called, whether the socket is ready or not."""
        return 0.0 if self._events else self._due_at

    @property
    def socket(self) -> socket.socket | None:
        """The socket to wait for; None while there is no connection."""
        return self._client.socket if self._reached and not self._over else None

    @property
    def certificate_end(self) -> datetime | None:
        """When the broker's certificate expires; None without encryption."""
        return certificate_end(self.socket)

    @property
    def wants_write(self) -> bool:
        """Whether data wait to be written."""
        return self._client.wants_write

    def open(self) -> None:
        """Start to connect."""
        self._due_at = time.monotonic() + CONNECT_DEADLINE_S
        self._attempt.start()

    def serve(self) -> list[Event]:
        """Read and write as much as possible now, and return the events. Nothing follows one of ``FINAL_EVENTS``."""
        if not self._over:
            if not self._reached:
                self._check_attempt()
            if self._hung_up is not None:
                self._check_tls(self._hung_up)
            elif self._reached:
                self._exchange()
            self._check_deadline()
        found = []
        while self._events:
            found.append(self._events.popleft())
            if isinstance(found[-1], FINAL_EVENTS):
                self._events.clear()
                self._over = True
        return found

    def flush(self) -> None:
        """Write as much as can be written now."""
        if self.socket is not None and self._client.wants_write:
            # Read first: a write that fails would end the connection before the broker's reason was read.
            self._run_paho(self._read_all)
            self._run_paho(self._client.write)

    def publish(self, item: Outgoing) -> int:
        """Send a message and return the number of its ``Acknowledged``. Raises ``ValueError`` for a bad topic."""
        return self._client.publish(item)

    def packet_bytes(self, item: Outgoing) -> int:
        """Size of the PUBLISH packet that ``publish`` would send."""
        return self._client.packet_bytes(item)

    def subscribe(self, topic: str) -> int:
        """Ask for the messages on ``topic`` and return the number of its ``Subscribed``."""
        return self._client.subscribe(topic)

    def close(self, *, farewell: bool = False) -> None:
        """Close at once. With ``farewell`` it disconnects properly, so that the broker does not publish the will."""
        if farewell and self.socket is not None:
            self._client.disconnect()
            until = time.monotonic() + FAREWELL_S
            while (connection := self.socket) is not None and self._client.wants_write:
                poll = select.poll()
                poll.register(connection, select.POLLOUT)
                if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                    break
                self._run_paho(self._client.write)
        self._over = True
        self._due_at = None
        self._attempt.abandon()

    def _check_attempt(self) -> None:
        if not self._attempt.done:
            return
        if self._attempt.error is not None:
            self._events.append(NotReached(explain_failure(self._attempt.error, self.address)))
        else:
            self._reached = True
            self._due_at = time.monotonic() + ANSWER_DEADLINE_S

    def _check_tls(self, hung_up: Unanswered) -> None:
        if self._tls_check.done:
            self._events.append(NotReached(explain_encrypted(self.address)) if self._tls_check.result else hung_up)

    def _exchange(self) -> None:
        connection = self.socket
        if isinstance(connection, BrokerSocket):
            self._tls_socket = connection
        if not self._first_bytes:
            self._first_bytes = first_bytes(connection)
            # If the server is not a broker, paho must not read its data, which could look like a packet by chance.
            foreign = explain_foreign(self.address, self._first_bytes, encrypted=self._encrypted)
            if foreign is not None:
                self._events.append(NotReached(foreign))
                return
        self._run_paho(self._read_all)
        self._run_paho(self._client.write)
        self._run_paho(self._client.keep_alive)
        if isinstance(connection, BrokerSocket) and not self._client.accepted:
            foreign = explain_foreign(self.address, connection.first_bytes, encrypted=True)
            if foreign is not None:
                self._events.clear()
                self._events.append(NotReached(foreign))

    def _run_paho(self, work: Callable[[], None]) -> None:
        """Let paho read or write. It may raise anything on unexpected data."""
        try:
            work()
        except Exception:
            log.warning("%s sent data that cannot be read", self.address, exc_info=True)
            text = "it sent data that is not valid MQTT"
            accepted = self._client.accepted
            self._events.append(Lost(None, text, None, malformed=True) if accepted else Unanswered(text))

    def _read_all(self) -> None:
        for _ in range(_PACKETS_MAX):
            self._client.read()
            connection = self.socket
            waits = connection.pending() if isinstance(connection, BrokerSocket) else first_bytes(connection)
            if not waits:
                return

    def _check_deadline(self) -> None:
        now = time.monotonic()
        if self._client.accepted:
            # For paho's pings.
            self._due_at = now + 1.0
        elif (
            self._due_at is None or now < self._due_at or any(isinstance(event, FINAL_EVENTS) for event in self._events)
        ):
            return
        elif self._reached:
            self._events.append(Unanswered(f"it sent no answer within {ANSWER_DEADLINE_S:g} s"))
        else:
            error = BrokerUnreachable(f"No connection to {self.address} within {CONNECT_DEADLINE_S:g} s.")
            self._events.append(NotReached(error))

    def _on_closed(self, reason: int) -> None:
        """The connection ended without a packet from the broker; ``reason`` is paho's."""
        text = {
            KEEP_ALIVE_TIMEOUT: "it did not answer a ping",
            PROTOCOL_ERROR: "it sent data that is not valid MQTT",
        }.get(reason, "no reason was given")
        refusal = None if self._tls_socket is None else self._tls_socket.refusal
        if self._client.accepted:
            network, malformed = reason == KEEP_ALIVE_TIMEOUT, reason == PROTOCOL_ERROR
            self._events.append(Lost(None, refusal or text, None, network=network, malformed=malformed))
        elif refusal is not None:
            self._events.append(NotReached(explain_tls_refusal(self.address, refusal)))
        elif self._first_bytes[:1] == b"\x20" and self._first_bytes[3:4] == b"\x01":
            # A CONNACK with return code 1, which paho does not report: this broker has no version 3.1.1.
            self._events.append(Refused(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", None))
        else:
            self._on_hung_up(Unanswered(f"it closed the connection ({text})"))

    def _on_hung_up(self, hung_up: Unanswered) -> None:
        self._hung_up = hung_up
        if self._tls_socket is not None or self._first_bytes or not self._suspects_tls:
            self._events.append(hung_up)
        else:
            # A broker that expects TLS hangs up without an answer.
            self._tls_check.start()
