"""For programs that read what Leukoscope's devices publish: results exactly once, presence of devices, commands.

>>> async with Client("mqtt://127.0.0.1") as client:
...     async for result in client.results():
...         print(result.site, result.device, result.outcome, result.label or result.reason)

See docs/client.md. ``pip install 'leukoscope[client]'``.
"""

from edge_agent.client.address import broker_settings
from edge_agent.client.client import Client, Counts
from edge_agent.client.connection import Connection, Delivery, Subscription
from edge_agent.client.liveness import Device, Devices, Presence
from edge_agent.client.messages import KINDS, Fault, Message, Unreadable, parse
from edge_agent.client.recording import Recorded, read_recording
from edge_agent.client.sequence import Gap, ResultSequence
from edge_agent.client.settings import BrokerSettings, TlsSettings

__all__ = [
    "KINDS",
    "BrokerSettings",
    "Client",
    "Connection",
    "Counts",
    "Delivery",
    "Device",
    "Devices",
    "Fault",
    "Gap",
    "Message",
    "Presence",
    "Recorded",
    "ResultSequence",
    "Subscription",
    "TlsSettings",
    "Unreadable",
    "broker_settings",
    "parse",
    "read_recording",
]
