"""A machine whose figures are known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from edge_agent.contracts import Check, MachineMetrics
from edge_agent.monitoring.health import ClockReading, HealthInputs

MakeInputs = Callable[..., HealthInputs]


def machine(**changes: Any) -> MachineMetrics:
    found = MachineMetrics(
        cpu_temperature_c=50,
        throttling=(),
        cpu_use_pct=12.5,
        resident_bytes=100,
        memory_available_bytes=2**30,
        disk_free_bytes=2**40,
        written_bytes=None,
        open_files_count=7,
    )
    return found.model_copy(update=changes)


@pytest.fixture
def make_inputs() -> MakeInputs:
    """Inputs of a healthy device, with changes by name: a part's error, the clock, or a figure of the machine."""

    def make(**changes: Any) -> HealthInputs:
        parts: dict[str, Any] = dict.fromkeys(("camera", "spool", "broker", "audit", "pace", "accelerator"))
        parts |= {name: Check.from_error(name, None) for name in ("model", "certificates")}
        clock = changes.pop("clock", ClockReading(datetime(2026, 11, 25, tzinfo=UTC), synchronised=True))
        parts |= {name: changes.pop(name) for name in list(changes) if name in parts}
        return HealthInputs(**parts, clock=clock, machine=machine(**changes))

    return make
