"""From the spool to the broker, and from the broker to the commands. Knows neither cameras nor models."""

from edge_agent.mqtt.broker_state import BrokerState
from edge_agent.mqtt.publisher import Publisher
from edge_agent.mqtt.requests import Request
from edge_agent.mqtt.settings import MqttSettings, TlsSettings

__all__ = ["BrokerState", "MqttSettings", "Publisher", "Request", "TlsSettings"]
