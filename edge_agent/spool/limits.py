"""How much a durable spool keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much is kept for how long, and how soon it is durable."""

    max_bytes: int
    """Of payloads that wait or are in flight; ``max_quarantined_bytes`` says what the quarantine holds beside them."""
    max_age_s: float
    when_full: Literal["reject_new", "drop_oldest"] = "reject_new"
    commit_delay_s: float = 0.2
