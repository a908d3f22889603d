"""The limits of a durable spool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """Limits of size and age, and the delay until messages are durable."""

    max_bytes: int
    """Size of the payloads that wait or are in flight; ``max_quarantined_bytes`` is the limit of the quarantine."""
    max_age_s: float
    when_full: Literal["reject_new", "drop_oldest"] = "reject_new"
    commit_delay_s: float = 0.2
