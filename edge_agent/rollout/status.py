"""The progress of a roll-out, as it is reported."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
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
        """The fields by name, as in the message."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


class StatusReport:
    """The newest status, and the function that is told of each change. Any thread may use it."""

    def __init__(self, status: RolloutStatus, changed: Callable[[], None]) -> None:
        """``changed`` is called in the thread that made the change, and must not wait."""
        self._status = status
        self._changed = changed
        self._lock = threading.Lock()

    @property
    def status(self) -> RolloutStatus:
        """The newest status."""
        return self._status

    def change(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of the status
        """Replace some fields. ``changed`` is not called if nothing differs."""
        with self._lock:
            status = replace(self._status, **changes)
            if status == self._status:
                return
            self._status = status
        self._changed()
