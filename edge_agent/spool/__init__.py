"""The queue in which a message waits until the broker has acknowledged it."""

from edge_agent.spool.base import Message, QuarantinedMessage, Spool, SpoolStats
from edge_agent.spool.limits import SpoolLimits
from edge_agent.spool.memory import MemorySpool
from edge_agent.spool.offline import purge
from edge_agent.spool.recovery import QuarantinedFile
from edge_agent.spool.settings import SpoolSettings, StateSettings
from edge_agent.spool.sqlite import SqliteSpool
from edge_agent.spool.state_entries import read_state_entries, read_state_entry

__all__ = [
    "MemorySpool",
    "Message",
    "QuarantinedFile",
    "QuarantinedMessage",
    "Spool",
    "SpoolLimits",
    "SpoolSettings",
    "SpoolStats",
    "SqliteSpool",
    "StateSettings",
    "purge",
    "read_state_entries",
    "read_state_entry",
]
