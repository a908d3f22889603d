from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analysis.speed_choice import (
    MISSES_MAX,
    READINGS,
    WARM_UP_READINGS,
    Candidate,
    SpeedChoice,
    Timing,
    choose,
    time_readings,
    time_until_held,
)

CANDIDATES = tuple(Candidate(bundle, threads) for bundle in ("accurate", "fast") for threads in (1, 2, 4))
TARGET_MS = 15.0

milliseconds = st.floats(0.01, 1000)


def timing(candidate: Candidate, p95_ms: float, p50_ms: float | None = None) -> Timing:
    return Timing(candidate, p95_ms if p50_ms is None else p50_ms, p95_ms, READINGS)


timings = st.lists(st.tuples(milliseconds, st.floats(0.1, 1)), min_size=1, max_size=len(CANDIDATES)).map(
    lambda each: tuple(
        timing(candidate, p95_ms, p95_ms * ratio) for candidate, (p95_ms, ratio) in zip(CANDIDATES, each, strict=False)
    )
)


@given(timings, milliseconds)
def test_the_first_that_holds_the_target_is_chosen(measured: tuple[Timing, ...], target_ms: float) -> None:
    choice = choose(measured, target_ms)
    holding = [each for each in measured if each.p95_ms <= target_ms]
    assert choice.holds == bool(holding)
    if holding:
        assert choice.chosen is holding[0]
    else:
        assert choice.chosen.p50_ms == min(each.p50_ms for each in measured)


@given(timings, milliseconds, st.floats(1, 10))
def test_a_looser_target_never_gives_a_less_accurate_bundle_or_more_cores(
    measured: tuple[Timing, ...], target_ms: float, factor: float
) -> None:
    tight, loose = choose(measured, target_ms), choose(measured, target_ms * factor)
    if tight.holds:
        assert measured.index(loose.chosen) <= measured.index(tight.chosen)


@given(timings, milliseconds)
def test_the_reason_names_what_was_chosen_and_everything_that_was_not(
    measured: tuple[Timing, ...], target_ms: float
) -> None:
    choice = choose(measured, target_ms)
    said = str(choice)
    assert said.startswith(str(choice.chosen.candidate))
    assert all(str(each.candidate) in said for each in measured)
    assert ("above the target" in said) == (not choice.holds)


@given(st.lists(milliseconds, min_size=200, max_size=200))
def test_what_holds_the_target_did_so_in_95_of_100_readings(times_ms: list[float]) -> None:
    left = iter(times_ms)
    found = time_readings(CANDIDATES[0], lambda: next(left), TARGET_MS)
    assert found.p50_ms <= found.p95_ms
    if found.p95_ms <= TARGET_MS:
        first = times_ms[WARM_UP_READINGS:][:READINGS]
        used = first if sum(each > TARGET_MS for each in first) <= MISSES_MAX else times_ms
        assert found.readings_count == READINGS
        assert any(
            sum(each > TARGET_MS for each in used[start : start + READINGS]) <= MISSES_MAX for start in range(len(used))
        )


def test_a_slow_candidate_takes_few_readings_and_one_interruption_is_forgiven() -> None:
    slow = itertools.count()

    def read() -> float:
        next(slow)
        return TARGET_MS + 1

    assert time_readings(CANDIDATES[0], read, TARGET_MS).readings_count == MISSES_MAX + 1
    assert next(slow) == WARM_UP_READINGS + MISSES_MAX + 1

    busy = iter([5.0] * 10 + [100.0] * (MISSES_MAX + 1) + [5.0] * READINGS)
    assert time_readings(CANDIDATES[0], lambda: next(busy), TARGET_MS).p95_ms == 5.0


class Clock:
    """Advances by the time that each measurement takes."""

    def __init__(self, each_s: float) -> None:
        self.now_s = 0.0
        self._each_s = each_s

    @staticmethod
    def measured(times: Iterator[Timing]) -> list[Candidate]:
        return [each.candidate for each in times]

    def take(self) -> None:
        self.now_s += self._each_s


@pytest.mark.parametrize(
    ("each_s", "holding", "measured"),
    [
        pytest.param(0.1, CANDIDATES[0], CANDIDATES[:1], id="the first holds"),
        pytest.param(0.1, CANDIDATES[2], CANDIDATES[:3], id="with four cores"),
        pytest.param(0.1, CANDIDATES[4], CANDIDATES[:5], id="the faster bundle"),
        pytest.param(0.1, None, CANDIDATES, id="none"),
        pytest.param(60.0, None, (CANDIDATES[0], CANDIDATES[3]), id="none, on a very slow board"),
    ],
)
def test_no_more_is_timed_than_is_needed_and_than_there_is_time_for(
    each_s: float, holding: Candidate | None, measured: tuple[Candidate, ...]
) -> None:
    clock = Clock(each_s)

    def measure(candidate: Candidate) -> Timing:
        clock.take()
        return timing(candidate, 1.0 if candidate == holding else 50.0)

    times = time_until_held(CANDIDATES, measure, TARGET_MS, budget_s=2.5, clock=lambda: clock.now_s)
    assert tuple(clock.measured(times)) == measured


def test_a_person_reads_cores_and_milliseconds() -> None:
    slow, right = timing(CANDIDATES[0], 18.21), timing(CANDIDATES[1], 12.345)
    assert str(SpeedChoice(TARGET_MS, right, (slow, right))) == (
        "accurate on 2 cores: 95 % of the readings took at most 12.3 ms, within the target of 15 ms "
        "(not chosen: accurate on 1 core: 18.2 ms)"
    )
