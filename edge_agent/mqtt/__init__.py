"""Carries messages from the spool to the broker, and commands from the broker. Knows neither cameras nor models."""

from edge_agent.mqtt.broker_state import BrokerState
from edge_agent.mqtt.publisher import Publisher
from edge_agent.mqtt.requests import Request
from edge_agent.mqtt.settings import MqttSettings, TlsSettings

__all__ = ["BrokerState", "MqttSettings", "Publisher", "Request", "TlsSettings"]
