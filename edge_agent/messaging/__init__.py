"""From a message to the broker: the spool and the publisher. Knows neither cameras nor models."""

from edge_agent.messaging.publisher import BrokerState, Publisher
from edge_agent.messaging.requests import Request
from edge_agent.messaging.settings import MqttSettings, SpoolSettings, StateSettings, TlsSettings
from edge_agent.messaging.spool import MemorySpool, Message, Spool, SpoolStats
from edge_agent.messaging.sqlite_spool import SetAside, SpoolLimits, SqliteSpool, purge

__all__ = [
    "BrokerState",
    "MemorySpool",
    "Message",
    "MqttSettings",
    "Publisher",
    "Request",
    "SetAside",
    "Spool",
    "SpoolLimits",
    "SpoolSettings",
    "SpoolStats",
    "SqliteSpool",
    "StateSettings",
    "TlsSettings",
    "purge",
]
