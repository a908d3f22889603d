"""Chooses bundle and threads by how long readings take with each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

WARM_UP_READINGS = 2
READINGS = 40
"""This many readings show a 95th percentile: the third-longest of them."""

MISSES_MAX = READINGS - math.ceil(0.95 * READINGS)
"""This many of ``READINGS`` may take longer than the target."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A combination that may be chosen."""

    bundle: str
    threads_count: int

    def __str__(self) -> str:
        return f"{self.bundle} on {self.threads_count} {'core' if self.threads_count == 1 else 'cores'}"


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of readings with a candidate."""

    candidate: Candidate
    p50_ms: float
    p95_ms: float
    readings_count: int
    """Fewer than ``READINGS`` if the target was missed too often before."""


@dataclass(frozen=True, slots=True)
class SpeedChoice:
    """The chosen candidate, and the timings that decided."""

    target_ms: float
    chosen: Timing
    timings: tuple[Timing, ...]
    """The timing of every candidate that was timed, in the order of preference."""

    @property
    def holds(self) -> bool:
        """Whether 95 % of the readings took no longer than the target."""
        return self.chosen.p95_ms <= self.target_ms

    def __str__(self) -> str:
        target = f"the target of {self.target_ms:g} ms"
        rest = [each for each in self.timings if each is not self.chosen]
        others = "; ".join(f"{each.candidate}: {each.p95_ms:.1f} ms" for each in rest)
        took = f"{self.chosen.candidate}: 95 % of the readings took at most {self.chosen.p95_ms:.1f} ms"
        why = f"within {target}" if self.holds else f"the fastest one, but above {target}"
        return f"{took}, {why}" + (f" (not chosen: {others})" if others else "")


def time_readings(candidate: Candidate, read: Callable[[], float], target_ms: float) -> Timing:
    """Time a candidate. ``read`` makes one reading and returns its milliseconds.

    Ends early once the target can no longer be held, as a slow board has no time for more. If most readings held the
    target, something else kept the computer busy for a moment, as at boot: then timing starts over once.
    """
    for _ in range(WARM_UP_READINGS):
        read()
    timing = _time_once(candidate, read, target_ms)
    if timing.p50_ms <= target_ms < timing.p95_ms:
        timing = min(timing, _time_once(candidate, read, target_ms), key=lambda each: each.p95_ms)
    return timing


def _time_once(candidate: Candidate, read: Callable[[], float], target_ms: float) -> Timing:
    times_ms: list[float] = []
    misses_count = 0
    while len(times_ms) < READINGS and misses_count <= MISSES_MAX:
        times_ms.append(read())
        misses_count += times_ms[-1] > target_ms
    times_ms.sort()
    p50_ms, p95_ms = (times_ms[math.ceil(ratio * len(times_ms)) - 1] for ratio in (0.5, 0.95))
    return Timing(candidate, p50_ms, p95_ms, len(times_ms))


def choose(timings: Sequence[Timing], target_ms: float) -> SpeedChoice:
    """The first of ``timings`` that holds the target; if none does, the fastest. They are in the order of preference.

    Raises ``ValueError`` without timings.
    """
    holding = (each for each in timings if each.p95_ms <= target_ms)
    # Compare medians, which a single interruption does not change.
    chosen = next(holding, None) or min(timings, key=lambda each: each.p50_ms)
    return SpeedChoice(target_ms, chosen, tuple(timings))


def time_until_held(
    candidates: Sequence[Candidate],
    measure: Callable[[Candidate], Timing],
    target_ms: float,
    *,
    budget_s: float,
    clock: Callable[[], float],
) -> Iterator[Timing]:
    """Time candidates in their order, the preferred first, until one holds the target.

    Each bundle has the same share of ``budget_s``, by ``clock``; once its share is spent, the next bundle is timed. At
    least one candidate of each bundle is timed.
    """
    bundles = tuple(dict.fromkeys(each.bundle for each in candidates))
    for bundle in bundles:
        until_s = clock() + budget_s / len(bundles)
        for candidate in (each for each in candidates if each.bundle == bundle):
            timing = measure(candidate)
            yield timing
            if timing.p95_ms <= target_ms:
                return
            if clock() >= until_s:
                break
