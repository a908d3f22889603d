"""A candidate in its own thread never holds up the readings, and nothing that it does ends them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from edge_agent.cameras.frame import Frame
from edge_agent.contracts import ModelIdentity, Outcome, Reason
from edge_agent.shadow.control import ShadowCallbacks, ShadowControl
from edge_agent.shadow.shadow import FAILURES_MAX, ShadowEnd, ShadowSummary
from tests.mqtt import PATIENCE_S
from tests.unit.shadow.readings import CANDIDATE, OTHER_ACTIVE, Judgement, ScriptedAnalyzer, agreeing, reading


@dataclass
class Bench:
    """A control, and its reports."""

    started: queue.SimpleQueue[ModelIdentity] = field(default_factory=queue.SimpleQueue)
    ended: queue.SimpleQueue[ShadowSummary] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        self.control = ShadowControl(ShadowCallbacks(self.started.put, self.ended.put))

    def start(self, judge: Judgement = agreeing, **how: object) -> ScriptedAnalyzer:
        analyzer = ScriptedAnalyzer(judge)
        self.control.start(analyzer, **how)  # type: ignore[arg-type]  # options of start
        return analyzer

    def summary(self) -> ShadowSummary:
        return self.ended.get(timeout=PATIENCE_S)


@pytest.fixture
def bench() -> Iterator[Bench]:
    found = Bench()
    yield found
    found.control.close()


@dataclass
class Gate:
    """A judgement that waits until the test releases it."""

    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, frame: Frame) -> object:
        self.entered.release()
        assert self.go.acquire(timeout=PATIENCE_S)
        return agreeing(frame)


def test_the_newest_reading_waits_and_those_before_it_are_counted_as_passed_over(bench: Bench) -> None:
    gate = Gate()
    analyzer = bench.start(gate, enough_count=2)  # type: ignore[arg-type]  # returns a reading
    readings = [reading() for _ in range(4)]
    bench.control.offer(readings[0])
    assert gate.entered.acquire(timeout=PATIENCE_S)
    for each in readings[1:]:
        # Returns while the candidate is busy.
        bench.control.offer(each)
    gate.go.release(2)
    figures = bench.summary().figures
    assert [analyzer.given.get(), analyzer.given.get()] == [readings[0].frame, readings[3].frame]
    assert analyzer.given.empty()
    assert (figures.compared_count, figures.passed_over_count) == (2, 2)
    assert figures.latency_ms is not None
    assert figures.latency_ms.samples_count == 2


def test_it_ends_after_as_many_fields_as_were_asked_for_and_says_so_once(bench: Bench) -> None:
    summaries: queue.SimpleQueue[ShadowSummary] = queue.SimpleQueue()
    bench.start(enough_count=1, on_summary=summaries.put)
    assert bench.started.get(timeout=PATIENCE_S) == CANDIDATE
    bench.control.offer(reading())
    found = summaries.get(timeout=PATIENCE_S)
    assert (found.end, found.figures.agreeing_count) == (ShadowEnd.ENOUGH, 1)
    assert bench.summary() == found
    assert bench.control.figures is None, "its model takes no memory any more"
    assert bench.control.last == found
    bench.control.close()
    assert summaries.empty()


def raising(_frame: Frame) -> object:
    raise RuntimeError("out of its depth")


def failing(frame: Frame) -> object:
    return reading(Outcome.FAILED, frame=frame, model=CANDIDATE)


@pytest.mark.parametrize(("judge", "words"), [(raising, "out of its depth"), (failing, "it broke")])
def test_a_candidate_that_fails_again_and_again_ends_itself(
    bench: Bench, judge: Callable[[Frame], object], words: str
) -> None:
    analyzer = bench.start(judge)  # type: ignore[arg-type]  # returns a reading, if anything
    for _ in range(FAILURES_MAX):
        bench.control.offer(reading())
        analyzer.given.get(timeout=PATIENCE_S)
    found = bench.summary()
    assert found.end is ShadowEnd.FAILED
    assert (found.figures.failures_count, found.figures.compared_count) == (FAILURES_MAX, 0)
    assert found.last_failure is not None
    assert words in found.last_failure
    bench.control.offer(reading())


def test_failures_between_judgements_do_not_end_it(bench: Bench) -> None:
    verdicts = iter([failing] * (FAILURES_MAX - 1) + [agreeing] + [failing] * (FAILURES_MAX - 1) + [agreeing])

    def judge(frame: Frame) -> object:
        return next(verdicts)(frame)

    analyzer = bench.start(judge, enough_count=2)  # type: ignore[arg-type]  # returns a reading
    for _ in range(2 * FAILURES_MAX):
        bench.control.offer(reading())
        analyzer.given.get(timeout=PATIENCE_S)
    found = bench.summary()
    assert (found.end, found.figures.failures_count) == (ShadowEnd.ENOUGH, 2 * (FAILURES_MAX - 1))


def test_a_frame_that_nobody_can_read_is_no_failure_of_the_candidate(bench: Bench) -> None:
    analyzer = bench.start(failing)  # type: ignore[arg-type]  # returns a reading
    for _ in range(FAILURES_MAX + 1):
        bench.control.offer(reading(Outcome.FAILED))
        analyzer.given.get(timeout=PATIENCE_S)
    bench.control.dismiss()
    found = bench.summary()
    assert (found.end, found.figures.failures_count) == (ShadowEnd.STOPPED, 0)


def test_what_another_model_in_use_said_does_not_count(bench: Bench) -> None:
    analyzer = bench.start(enough_count=3)
    for model in (reading().model, OTHER_ACTIVE, OTHER_ACTIVE, OTHER_ACTIVE):
        bench.control.offer(reading(model=model))
        analyzer.given.get(timeout=PATIENCE_S)
    assert bench.summary().figures.compared_count == 3


def test_a_candidate_that_is_put_to_use_ends(bench: Bench) -> None:
    analyzer = bench.start()
    bench.control.offer(reading(model=CANDIDATE))
    assert bench.summary().end is ShadowEnd.IN_USE
    assert analyzer.given.empty()


def test_a_frame_that_moved_is_not_compared(bench: Bench) -> None:
    """The candidate sees one frame at a time, so that it would judge what the model in use has rejected."""
    gate = Gate()
    analyzer = bench.start(gate, enough_count=2)  # type: ignore[arg-type]  # returns a reading
    first, still = reading(), reading()
    bench.control.offer(first)
    assert gate.entered.acquire(timeout=PATIENCE_S)
    bench.control.offer(still)
    bench.control.offer(reading(Outcome.REJECTED, reason=Reason.MOVING))
    gate.go.release(2)
    assert bench.summary().figures.passed_over_count == 0
    assert [analyzer.given.get(), analyzer.given.get()] == [first.frame, still.frame]


def test_another_candidate_takes_the_place_of_the_one_before(bench: Bench) -> None:
    first, second = bench.start(), bench.start()
    assert bench.summary().end is ShadowEnd.STOPPED
    bench.control.offer(shown := reading())
    assert second.given.get(timeout=PATIENCE_S) is shown.frame
    assert first.given.empty()
    assert bench.control.last is None, "what the one before has shown is not said of this one"


def test_none_starts_after_the_end(bench: Bench) -> None:
    bench.control.close()
    bench.start()
    assert bench.control.figures is None
    assert bench.started.empty()


def test_a_listener_that_fails_harms_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def listen(_summary: ShadowSummary) -> None:
        raise RuntimeError("not now")

    bench.start(on_summary=listen)
    bench.control.dismiss()
    assert "could not be told" in caplog.text
    bench.start(enough_count=1)
    bench.control.offer(reading())
    assert bench.summary().end is ShadowEnd.STOPPED
    assert bench.summary().end is ShadowEnd.ENOUGH
