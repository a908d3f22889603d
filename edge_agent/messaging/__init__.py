"""From a message to the broker: the spool and the publisher. Knows neither cameras nor models."""

from edge_agent.messaging.publisher import BrokerState, Publisher
from edge_agent.messaging.settings import MqttSettings, SpoolSettings
from edge_agent.messaging.spool import MemorySpool, Message, Spool, SpoolStats

__all__ = [
    "BrokerState",
    "MemorySpool",
    "Message",
    "MqttSettings",
    "Publisher",
    "Spool",
    "SpoolSettings",
    "SpoolStats",
]
