"""The state of each part, in the codes that logs and ``doctor`` have too."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.contracts import Check, MachineMetrics
from edge_agent.errors import ClockUnset, DiskLow, EdgeAgentError, MachineHot, MachineThrottled

MIN_FREE_BYTES = 200 * 2**20
MAX_CPU_TEMPERATURE_C = 80.0
"""From here on a Raspberry Pi slows itself down."""


@dataclass(frozen=True, slots=True)
class HealthInputs:
    """What the checks go by: the errors that parts have now, and the machine's figures."""

    camera: EdgeAgentError | None
    spool: EdgeAgentError | None
    broker: EdgeAgentError | None
    audit: EdgeAgentError | None
    clock: EdgeAgentError | None
    machine: MachineMetrics


def examine(inputs: HealthInputs) -> tuple[Check, ...]:
    """One check per part, in a fixed order: what stops the work comes first."""
    machine = inputs.machine
    found: dict[str, EdgeAgentError | None] = {
        "camera": inputs.camera,
        "spool": inputs.spool,
        "broker": inputs.broker,
        "disk": disk_problem(machine.disk_free_bytes),
        "clock": inputs.clock,
        "audit": inputs.audit,
        "temperature": _heat(machine.cpu_temperature_c),
        "power": _throttling(machine.throttling),
    }
    return tuple(Check.from_error(name, error) for name, error in found.items())


def disk_problem(free_bytes: int) -> DiskLow | None:
    """Whether too little room is left."""
    if free_bytes >= MIN_FREE_BYTES:
        return None
    return DiskLow(f"{free_bytes / 2**20:.0f} MiB are free, {MIN_FREE_BYTES / 2**20:.0f} MiB are needed.")


def clock_problem(year: int, synchronised: bool | None) -> ClockUnset | None:  # noqa: FBT001 - three-valued
    """Whether the clock cannot be right: a device without a clock chip begins somewhere in the past."""
    if year >= EARLIEST_YEAR and synchronised is not False:
        return None
    return ClockUnset(f"The clock is in the year {year} and {'is' if synchronised else 'is not'} synchronised.")


EARLIEST_YEAR = 2026


def _heat(temperature_c: float | None) -> MachineHot | None:
    if temperature_c is None or temperature_c < MAX_CPU_TEMPERATURE_C:
        return None
    return MachineHot(f"The processor has {temperature_c:.0f} degrees Celsius.")


def _throttling(flags: tuple[str, ...] | None) -> MachineThrottled | None:
    """What is now; what once was is in the metrics."""
    now = [flag for flag in flags or () if not flag.endswith("_occurred")]
    return MachineThrottled(f"The Raspberry Pi reports: {', '.join(now)}.") if now else None
