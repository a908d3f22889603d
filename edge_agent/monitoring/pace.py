"""How often to read on a computer that is hot, weakly powered or short of memory.

A reading is the agent's only heavy work, so a pause between readings is what cools a computer down. The pause doubles
while something is wrong and halves while all is well; in between, such as from 75 to 80 °C, it stays. It has an upper
limit, so that reading never ends.
"""

from __future__ import annotations

from edge_agent.contracts import MachineMetrics
from edge_agent.errors import EdgeAgentError, ReadingSlowed
from edge_agent.monitoring.health import memory_problem, power_problem, temperature_problem
from edge_agent.monitoring.settings import PaceSettings

LEAST_PAUSE_S = 0.5
"""The first step where the agent would read without any pause."""

EASED_PRESSURE_PCT = 5.0
"""Memory is well again below this."""


class Pace:
    """The pause, from the figures of the computer and the time. No clock of its own; belongs to one thread."""

    def __init__(self, settings: PaceSettings, interval_s: float) -> None:
        """``interval_s`` is how often the agent reads at full rate; 0 for as often as it can, infinite for never."""
        self._pause_s = 0.0
        self._changed_s = self._strained_s = float("-inf")
        self._cause: EdgeAgentError | None = None
        self.use(settings, interval_s)

    def use(self, settings: PaceSettings, interval_s: float) -> None:
        """Follow other settings from now on."""
        self._settings = settings
        self._first_s = max(2 * interval_s, LEAST_PAUSE_S)
        self._pause_s = min(self._pause_s, self._limit_s)
        if self._pause_s <= interval_s:
            # Shorter than what is asked for now, it slows nothing down.
            self._pause_s = 0.0

    @property
    def pause_s(self) -> float:
        """Least time from one reading to the next; 0 at full rate."""
        return self._pause_s

    @property
    def cause(self) -> EdgeAgentError | None:
        """What was wrong when the pause last became longer; None at full rate."""
        return self._cause if self._pause_s else None

    @property
    def problem(self) -> ReadingSlowed | None:
        """What a person is told; None at full rate."""
        if self.cause is None:
            return None
        return ReadingSlowed(f"A field is read every {self._pause_s:g} s at most. {self.cause.message}")

    def update(self, machine: MachineMetrics, now_s: float) -> None:
        """Take the latest figures into account. ``now_s`` is from a monotonic clock."""
        cause = self._strain(machine)
        if cause is not None:
            self._strained_s = now_s
            if now_s - self._changed_s >= self._settings.slow_down_s and self._pause_s < self._limit_s:
                self._change(min(max(self._first_s, 2 * self._pause_s), self._limit_s), now_s)
            self._cause = cause
        elif not self._is_well(machine):
            self._strained_s = now_s
        elif self._pause_s and now_s - max(self._changed_s, self._strained_s) >= self._settings.recover_s:
            shorter_s = self._pause_s / 2
            self._change(shorter_s if shorter_s >= self._first_s else 0.0, now_s)

    @property
    def _limit_s(self) -> float:
        """A configuration that reads less often than the longest pause has nothing to gain from one."""
        settings = self._settings
        return settings.max_pause_s if settings.enabled and self._first_s / 2 < settings.max_pause_s else 0.0

    def _change(self, pause_s: float, now_s: float) -> None:
        self._pause_s, self._changed_s = pause_s, now_s

    def _strain(self, machine: MachineMetrics) -> EdgeAgentError | None:
        """What is wrong enough to slow down for."""
        return (
            temperature_problem(machine.cpu_temperature_c, self._settings.hot_c)
            or power_problem(machine.throttling)
            or memory_problem(machine)
        )

    def _is_well(self, machine: MachineMetrics) -> bool:
        """Whether nothing is near to what is wrong, when ``_strain`` finds nothing."""
        cool = machine.cpu_temperature_c is None or machine.cpu_temperature_c < self._settings.cool_c
        return cool and (machine.memory_pressure_pct or 0.0) < EASED_PRESSURE_PCT
