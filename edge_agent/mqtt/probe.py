"""Connects to the broker once, like the agent, for ``edge-agent doctor``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from edge_agent.errors import BrokerError, BrokerUnreachable
from edge_agent.mqtt.address import format_address
from edge_agent.mqtt.calls import Calls
from edge_agent.mqtt.connection import Connection
from edge_agent.mqtt.connection_events import Accepted, Lost, NotReached, Refused, Unanswered
from edge_agent.mqtt.credentials import client_id, read_credentials
from edge_agent.mqtt.limits import ServerLimits
from edge_agent.mqtt.reasons import UNSUPPORTED_PROTOCOL_VERSION, explain_disconnect, explain_refusal
from edge_agent.mqtt.settings import MqttSettings

DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class BrokerFound:
    """A broker that accepts this device."""

    version: str
    limits: ServerLimits
    certificate_end: datetime | None
    """When its certificate expires; None without encryption."""


def probe_broker(settings: MqttSettings, site: str, device: str) -> BrokerFound:
    """Connect, and disconnect at once.

    The client id begins with the agent's, which may decide its rights, but differs, so that the session of a running
    agent is not disturbed. Raises ``BrokerError``, or ``ConfigError`` for secrets that cannot be read.
    """
    credentials = read_credentials(settings)
    name = f"{client_id(site, device)}-doctor"
    versions = {"auto": (True, False), "5": (True,), "3.1.1": (False,)}[settings.version]
    error: BrokerError = BrokerUnreachable(f"{format_address(settings.host, settings.port)} does not answer.")
    for version_5 in versions:
        calls = Calls()
        calls.open()
        connection = Connection(
            settings, credentials, name, version_5=version_5, suspects_tls=True, on_change=calls.wake
        )
        connection.open()
        try:
            found = _ask(connection, calls)
            end = connection.certificate_end
        finally:
            connection.close(farewell=True)
            calls.close()
        if isinstance(found, ServerLimits):
            return BrokerFound("5" if version_5 else "3.1.1", found, end)
        another, error = found
        if not another:
            break
    raise error


def _ask(connection: Connection, calls: Calls) -> ServerLimits | tuple[bool, BrokerError]:
    """The limits of a broker that accepts the connection; else whether to try another version, and the error."""
    address = connection.address
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        due_at = until if connection.due_at is None else min(until, connection.due_at)
        connection.flush()
        calls.wait(due_at - time.monotonic(), connection.socket, writes=connection.wants_write)
        for event in connection.serve():
            match event:
                case Accepted():
                    return event.limits
                case Refused():
                    another = event.reason == UNSUPPORTED_PROTOCOL_VERSION
                    return another, explain_refusal(address, event.reason, event.text, event.server)
                case NotReached():
                    return False, event.error
                case Unanswered():
                    return True, BrokerUnreachable(f"The broker at {address} does not answer: {event.text}.")
                case Lost():
                    reason = 0 if event.reason is None else event.reason
                    return False, explain_disconnect(address, reason, event.text, event.server)
    return False, BrokerUnreachable(f"{address} does not answer within {DEADLINE_S:g} s.")
