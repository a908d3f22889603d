"""A message to be published."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message, and how it is published."""

    key: Hashable
    """Identifies the message: the id of a spooled message, the topic of a retained one."""
    topic: str
    payload: bytes = field(repr=False)
    retain: bool = False
    qos: int = 1
    expiry_s: int | None = None
    correlation: bytes | None = None
