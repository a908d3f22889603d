"""The state of each part, with the same codes as in logs and ``doctor``.

What this computer cannot measure is ``unknown``, never ``ok``: most computers do not report their power supply, and
without systemd-timesyncd nothing reports whether the clock is synchronised.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from edge_agent.contracts import Check, CheckState, Health, MachineMetrics, Topics
from edge_agent.errors import (
    ClockUnset,
    DiskLow,
    EdgeAgentError,
    MachineHot,
    MachineThrottled,
    MemoryShort,
    ReadingSlowed,
)

MIN_FREE_BYTES = 200 * 2**20
MAX_CPU_TEMPERATURE_C = 80.0
"""From this temperature on a Raspberry Pi slows down."""
MAX_MEMORY_PRESSURE_PCT = 20.0
"""From here on programs mostly wait for pages that were dropped or swapped out."""
MIN_AVAILABLE_BYTES = 32 * 2**20
"""Less, and the kernel soon ends a process. It counts also where pressure is not measured."""
EARLIEST_YEAR = 2026
"""A clock that shows an earlier year is not set, since this software is from that year."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What the clock shows, and whether it is synchronised; None if unknown."""

    now: datetime
    synchronised: bool | None


@dataclass(frozen=True, slots=True)
class HealthInputs:
    """What the checks use: the current errors of the parts, the clock, and the machine's figures."""

    camera: EdgeAgentError | None
    spool: EdgeAgentError | None
    broker: EdgeAgentError | None
    audit: EdgeAgentError | None
    certificates: Check
    """Whether one ends soon."""
    model: Check
    """Whether fields drift away from those that the model was proven on."""
    accelerator: Check | None
    """Whether an Edge TPU runs the network; None where none is wanted."""
    clock: ClockReading
    machine: MachineMetrics
    pace: ReadingSlowed | None = None
    """Whether fields are read less often than asked for."""
    speed: Check | None = None
    """Whether readings are as fast as bundle and threads were chosen for; None if they are named by the user."""


def run_checks(inputs: HealthInputs) -> tuple[Check, ...]:
    """One check per part, in a fixed order, the most important first."""
    machine = inputs.machine
    return (
        Check.from_error("camera", inputs.camera),
        inputs.model,
        *(() if inputs.speed is None else (inputs.speed,)),
        *(() if inputs.accelerator is None else (inputs.accelerator,)),
        Check.from_error("spool", inputs.spool),
        Check.from_error("broker", inputs.broker),
        inputs.certificates,
        Check.from_error("disk", disk_problem(machine.disk_free_bytes)),
        _clock(inputs.clock),
        Check.from_error("audit", inputs.audit),
        _temperature(machine.cpu_temperature_c),
        _power(machine.throttling),
        Check.from_error("memory", memory_problem(machine)),
        Check.from_error("pace", inputs.pace),
    )


def overall_state(checks: tuple[Check, ...]) -> CheckState:
    """``degraded`` if any check is; unknown checks do not count."""
    degraded = any(check.state is CheckState.DEGRADED for check in checks)
    return CheckState.DEGRADED if degraded else CheckState.OK


def health_message(topics: Topics, session: UUID, checks: tuple[Check, ...]) -> Health:
    """The current ``health`` message."""
    return Health(
        site=topics.site,
        device=topics.device,
        session=session,
        at=datetime.now(UTC),
        state=overall_state(checks),
        checks=checks,
    )


def disk_problem(free_bytes: int) -> DiskLow | None:
    """An error if too little space is left."""
    if free_bytes >= MIN_FREE_BYTES:
        return None
    return DiskLow(f"{free_bytes / 2**20:.0f} MiB are free; at least {MIN_FREE_BYTES / 2**20:.0f} MiB are needed.")


def temperature_problem(temperature_c: float | None, limit_c: float = MAX_CPU_TEMPERATURE_C) -> MachineHot | None:
    """An error if the processor is known to be at ``limit_c`` or above."""
    if temperature_c is None or temperature_c < limit_c:
        return None
    return MachineHot(f"The processor is at {temperature_c:.0f} °C; from {limit_c:.0f} °C it slows down.")


def power_problem(throttling: tuple[str, ...] | None) -> MachineThrottled | None:
    """An error if a Raspberry Pi reports a limit now; what happened since boot is in the metrics."""
    now = [flag.replace("_", " ") for flag in throttling or () if not flag.endswith("_occurred")]
    return MachineThrottled(f"The Raspberry Pi reports: {', '.join(now)}.") if now else None


def memory_problem(machine: MachineMetrics) -> MemoryShort | None:
    """An error if programs wait for memory, or almost none is left."""
    if (machine.memory_pressure_pct or 0.0) >= MAX_MEMORY_PRESSURE_PCT:
        return MemoryShort(f"Programs waited for memory in {machine.memory_pressure_pct:.0f} % of the last 10 s.")
    if machine.memory_available_bytes < MIN_AVAILABLE_BYTES:
        return MemoryShort(
            f"{machine.memory_available_bytes / 2**20:.0f} MiB of memory are left; at least "
            f"{MIN_AVAILABLE_BYTES / 2**20:.0f} MiB are needed."
        )
    return None


def clock_problem(clock: ClockReading) -> ClockUnset | None:
    """Why the clock must be wrong; None if it may be right. A device without a clock chip boots in the past."""
    if clock.now.year >= EARLIEST_YEAR and clock.synchronised is not False:
        return None
    how = {
        True: "is synchronised with a time server that is wrong",
        False: "is not synchronised with a time server",
        None: "was not set",
    }[clock.synchronised]
    return ClockUnset(f"The clock shows {clock.now:%Y-%m-%d} and {how}.")


def _clock(clock: ClockReading) -> Check:
    problem = clock_problem(clock)
    if problem is None and clock.synchronised is None:
        return Check.unknown(
            "clock", "systemd-timesyncd is not running, so it is unknown whether the clock is synchronised."
        )
    return Check.from_error("clock", problem)


def _temperature(temperature_c: float | None) -> Check:
    if temperature_c is None:
        return Check.unknown("temperature", "This computer does not report the temperature of its processor.")
    return Check.from_error("temperature", temperature_problem(temperature_c))


def _power(throttling: tuple[str, ...] | None) -> Check:
    if throttling is None:
        return Check.unknown("power", "Only a Raspberry Pi reports under-voltage and throttling.")
    return Check.from_error("power", power_problem(throttling))
