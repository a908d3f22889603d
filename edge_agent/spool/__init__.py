"""The queue in which a message waits until the broker has acknowledged it."""

from edge_agent.spool.base import MemorySpool, Message, Spool, SpoolStats
from edge_agent.spool.settings import SpoolSettings, StateSettings
from edge_agent.spool.sqlite import QuarantinedFile, SpoolLimits, SqliteSpool, purge

__all__ = [
    "MemorySpool",
    "Message",
    "QuarantinedFile",
    "Spool",
    "SpoolLimits",
    "SpoolSettings",
    "SpoolStats",
    "SqliteSpool",
    "StateSettings",
    "purge",
]
