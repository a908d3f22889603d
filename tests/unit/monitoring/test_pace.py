from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.contracts import MachineMetrics
from edge_agent.monitoring.pace import Pace
from edge_agent.monitoring.settings import PaceSettings
from tests.unit.monitoring.conftest import machine

SETTINGS = PaceSettings()
WELL = machine()
WARM = machine(cpu_temperature_c=78.0)
HOT = machine(cpu_temperature_c=80.0)

STRAINED = {
    "hot": HOT,
    "throttled": machine(throttling=("throttled",)),
    "weak-supply": machine(throttling=("under_voltage",)),
    "soft-limit": machine(throttling=("soft_temperature_limit",)),
    "pressure": machine(memory_pressure_pct=20.0),
    "no-memory": machine(memory_available_bytes=2**20),
}
FINE = {
    "cool": WELL,
    "throttled-before": machine(throttling=("throttled_occurred",)),
    "nothing-measured": machine(cpu_temperature_c=None, throttling=None),
}


@dataclass(frozen=True)
class Look:
    machine: MachineMetrics
    after_s: float


looks = st.lists(
    st.builds(Look, st.sampled_from([*STRAINED.values(), *FINE.values(), WARM]), st.floats(0, 60)), max_size=30
)
intervals = st.sampled_from([0.0, 0.1, 1.0, 2.0, 6.0, 8.0, 60.0])


class Watched(Pace):
    """A pace with a clock."""

    now_s = 1000.0

    def follow(self, seen: list[Look]) -> list[tuple[float, float]]:
        """Time and pause before the first look, and after each."""
        found = [(self.now_s, self.pause_s)]
        for look in seen:
            self.now_s += look.after_s
            self.update(look.machine, self.now_s)
            found.append((self.now_s, self.pause_s))
        return found

    def stay(self, figures: MachineMetrics, *, looks_count: int = 40) -> list[float]:
        """Pauses while the same figures are seen every 10 s."""
        return [pause_s for _, pause_s in self.follow([Look(figures, 10.0)] * looks_count)]


@pytest.mark.parametrize("figures", STRAINED.values(), ids=STRAINED.keys())
def test_each_strain_slows_down_in_steps_and_says_why(figures: MachineMetrics) -> None:
    pace = Watched(SETTINGS, 0.0)
    assert sorted(set(pace.stay(figures))) == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0]
    assert pace.problem is not None
    assert pace.problem.code == "reading_slowed"
    assert pace.problem.message.startswith("A field is read every 8 s at most. ")


@pytest.mark.parametrize("figures", FINE.values(), ids=FINE.keys())
def test_a_computer_that_is_well_reads_at_full_rate(figures: MachineMetrics) -> None:
    pace = Watched(SETTINGS, 0.0)
    assert set(pace.stay(figures)) == {0.0}
    assert pace.problem is None


def test_the_first_step_is_felt_at_the_configured_interval() -> None:
    assert sorted(set(Watched(SETTINGS, 2.0).stay(HOT))) == [0.0, 4.0, 8.0]
    assert set(Watched(SETTINGS, 60.0).stay(HOT)) == {0.0}


@pytest.mark.parametrize(("mode", "slows_down"), [("continuous", True), ("settled", True), ("triggered", False)])
def test_where_only_requests_are_read_nothing_is_slowed_down(
    mode: Literal["continuous", "settled", "triggered"], *, slows_down: bool
) -> None:
    pace = Watched(SETTINGS, TriggerSettings(mode=mode).pace_interval_s)
    assert (max(pace.stay(HOT)) > 0) == slows_down
    assert (pace.problem is not None) == slows_down


@pytest.mark.parametrize("figures", FINE.values(), ids=FINE.keys())
def test_it_returns_by_itself_in_steps_and_more_slowly(figures: MachineMetrics) -> None:
    pace = Watched(SETTINGS, 0.0)
    pace.stay(HOT)
    pauses = pace.stay(figures)
    assert pauses[-1] == 0.0
    assert [pause for pause, after in pairwise(pauses) if pause != after] == [8.0, 4.0, 2.0, 1.0, 0.5]
    assert pauses.count(4.0) == SETTINGS.recover_s / 10


def test_near_the_limit_it_keeps_its_pace() -> None:
    pace = Watched(SETTINGS, 0.0)
    pace.update(HOT, pace.now_s)
    assert set(pace.stay(WARM)) == {0.5}


def test_a_computer_that_goes_to_and_fro_does_not_recover_in_between() -> None:
    pace = Watched(SETTINGS, 0.0)
    pace.stay(HOT)
    seen = [Look(each, 20.0) for each in [WELL, WARM] * 20]
    assert {pause_s for _, pause_s in pace.follow(seen)} == {8.0}


@given(looks, intervals)
def test_reading_never_ends_and_changes_in_steps(seen: list[Look], interval_s: float) -> None:
    pace = Watched(SETTINGS, interval_s)
    found = pace.follow(seen)
    changes = []
    for look, ((_, before_s), (now_s, after_s)) in zip(seen, pairwise(found), strict=True):
        assert 0 <= after_s <= SETTINGS.max_pause_s
        if after_s > before_s:
            assert look.machine in STRAINED.values()
            assert before_s == 0 or after_s <= 2 * before_s
        elif after_s < before_s:
            assert look.machine in FINE.values()
            assert after_s in {0, before_s / 2}
        if after_s != before_s:
            changes.append(now_s)
        assert (pace.problem is None) == (pace.pause_s == 0)
    assert all(after - before >= SETTINGS.slow_down_s for before, after in pairwise(changes))


@given(looks, intervals)
def test_whatever_happened_it_finds_back_to_full_rate(seen: list[Look], interval_s: float) -> None:
    pace = Watched(SETTINGS, interval_s)
    pace.follow(seen)
    assert pace.stay(WELL)[-1] == 0.0


@given(looks)
def test_switched_off_it_never_slows_down(seen: list[Look]) -> None:
    assert {pause_s for _, pause_s in Watched(PaceSettings(enabled=False), 0.0).follow(seen)} == {0.0}


def test_other_settings_count_at_once() -> None:
    pace = Watched(SETTINGS, 0.0)
    pace.stay(HOT)
    pace.use(PaceSettings(max_pause_s=3.0), 0.0)
    assert pace.pause_s == 3.0
    pace.use(PaceSettings(enabled=False), 0.0)
    assert (pace.pause_s, pace.problem) == (0.0, None)


def test_a_pause_is_over_where_less_is_asked_for_from_now_on() -> None:
    pace = Watched(SETTINGS, 0.5)
    pace.update(HOT, pace.now_s)
    assert pace.pause_s == 1.0
    pace.use(SETTINGS, 2.0)
    # 78 °C would keep the pause, which is not felt.
    assert set(pace.stay(WARM)) == {0.0}
    assert pace.problem is None
    assert pace.stay(HOT)[-1] == 8.0
