from __future__ import annotations

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.mqtt.limits import ServerLimits, read_limits
from edge_agent.mqtt.outgoing import Outgoing


def test_without_properties_there_are_no_limits() -> None:
    assert read_limits(None) == ServerLimits()
    assert read_limits(Properties(PacketTypes.CONNACK)) == ServerLimits()  # type: ignore[no-untyped-call]
    assert ServerLimits().problem("broker") is None


def test_the_properties_of_a_connack_are_the_limits() -> None:
    properties = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = 3
    properties.MaximumPacketSize = 1000
    properties.MaximumQoS = 1
    properties.RetainAvailable = 0
    properties.WildcardSubscriptionAvailable = 0
    assert read_limits(properties) == ServerLimits(3, 1000, 1, retain_available=False, wildcards_available=False)


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (ServerLimits(maximum_qos=0), "QoS 0"),
        (ServerLimits(retain_available=False), "retained"),
        (ServerLimits(wildcards_available=False), "wildcard"),
    ],
)
def test_what_the_device_needs_and_the_broker_has_not_is_named_with_what_to_do(limits: ServerLimits, word: str) -> None:
    problem = limits.problem("broker:1883")
    assert problem is not None
    assert problem.code == "broker_limits"
    assert word in problem.message
    assert problem.remedy


def test_a_message_is_sent_with_no_more_than_the_broker_can_do() -> None:
    item = Outgoing("key", "topic", b"", retain=True, qos=1)
    assert ServerLimits().adapt(item) == item
    adapted = ServerLimits(maximum_qos=0, retain_available=False).adapt(item)
    assert (adapted.qos, adapted.retain) == (0, False)
