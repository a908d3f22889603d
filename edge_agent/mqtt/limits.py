"""The limits that the broker declares in its CONNACK."""

from __future__ import annotations

from dataclasses import dataclass, replace

from paho.mqtt.properties import Properties

from edge_agent.errors import BrokerLimits
from edge_agent.mqtt.outgoing import Outgoing


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits of one connection (MQTT 5, 3.2.2.3). MQTT 3.1.1 has none."""

    receive_maximum: int = 65535
    """Messages with QoS 1 that may be unacknowledged at the same time."""
    maximum_packet_bytes: int | None = None
    maximum_qos: int = 2
    retain_available: bool = True
    wildcards_available: bool = True

    def adapt(self, item: Outgoing) -> Outgoing:
        """A message within the broker's limits: QoS and retain are lowered if necessary."""
        return replace(item, qos=min(item.qos, self.maximum_qos), retain=item.retain and self.retain_available)

    def problem(self, address: str) -> BrokerLimits | None:
        """The error that says what this device cannot do with these limits; None if it can do everything."""
        if self.maximum_qos < 1:
            return BrokerLimits(
                f"The broker at {address} accepts only QoS 0, which it never acknowledges, so results wait.",
                remedy="Allow QoS 1 for this device at the broker; results wait meanwhile.",
            )
        if not self.retain_available:
            return BrokerLimits(
                f"The broker at {address} does not keep retained messages, so later subscribers do not see this "
                "device's status.",
                remedy="Allow retained messages for this device at the broker.",
            )
        if not self.wildcards_available:
            return BrokerLimits(
                f"The broker at {address} does not allow wildcard subscriptions, so this device receives no commands.",
                remedy="Allow wildcard subscriptions for this device at the broker.",
            )
        return None


def read_limits(properties: Properties | None) -> ServerLimits:
    """Read the limits from the properties of a CONNACK."""
    usual = ServerLimits()
    return ServerLimits(
        receive_maximum=max(1, getattr(properties, "ReceiveMaximum", usual.receive_maximum)),
        maximum_packet_bytes=getattr(properties, "MaximumPacketSize", None),
        maximum_qos=getattr(properties, "MaximumQoS", usual.maximum_qos),
        retain_available=bool(getattr(properties, "RetainAvailable", 1)),
        wildcards_available=bool(getattr(properties, "WildcardSubscriptionAvailable", 1)),
    )
