"""How far a roll-out is, as it is reported."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.rollout import ModelDesired, RolloutState


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """The fields of ``model/reported`` that a roll-out changes. Replaced as a whole, so that any thread may read it."""

    state: RolloutState = RolloutState.IDLE
    desired: ModelDesired | None = None
    received_bytes: int | None = None
    size_bytes: int | None = None
    shadow_readings_count: int | None = None
    takes_part: bool = True
    failures_count: int = 0
    retry_at: datetime | None = None
    error: ErrorReport | None = None
    message_error: ErrorReport | None = None
    messages_refused_count: int = 0

    def fields(self) -> dict[str, Any]:
        """By name, as they are in the message."""
        return {each.name: getattr(self, each.name) for each in fields(self)}
