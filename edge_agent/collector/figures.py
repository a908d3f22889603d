"""A collector's own figures, since it started. Read by its log, by ``status`` and by the exporter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client import Histogram

from edge_agent.errors import EdgeAgentError

_BATCH_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def _batch_seconds() -> Histogram:
    return Histogram(
        "leukoscope_collector_batch_seconds",
        "Time that a batch took to be written and committed",
        buckets=_BATCH_BUCKETS_S,
        registry=None,
    )


@dataclass(slots=True)
class Figures:
    """The figures. Only the event loop changes them."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    received_count: Counter[str] = field(default_factory=Counter)
    """Messages by kind, as in the last part of their topic: ``result``, ``event`` and so on."""
    stored_count: Counter[str] = field(default_factory=Counter)
    """New rows by table."""
    repeated_count: int = 0
    """Messages that were in the database already: delivered again after a kill or a lost connection."""
    unreadable_count: Counter[str] = field(default_factory=Counter)
    """Messages that could not be read, by fault: ``foreign``, ``future``, ``damaged``, ``too_large``..."""
    dropped_count: int = 0
    """Metrics that were dropped while the database was gone. Nothing else is ever dropped."""
    acknowledged_count: int = 0
    """Messages that were acknowledged to the broker as stored."""
    batches_count: int = 0
    batch_seconds: Histogram = field(default_factory=_batch_seconds)
    """How long each batch took, including failed attempts."""
    retries_count: int = 0
    """Attempts to write that failed because of the database."""
    waiting_count: int = 0
    """Messages that were received and not stored yet."""
    behind_s: float | None = None
    """Time from capture to commit: the median over the live results of the last batch that had any."""
    committed_at: datetime | None = None
    broker_error: EdgeAgentError | None = None
    """Why there is no connection to the broker; None if there is one."""
    database_error: EdgeAgentError | None = None
    """Why nothing can be stored; None if all is well."""
