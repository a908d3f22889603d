"""The metrics message against figures that are known beforehand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from edge_agent.cameras import CaptureCounters
from edge_agent.contracts import CaptureMetrics, ErrorReport, Metrics, Outcome, Percentiles, Reason, Topics
from edge_agent.errors import CameraLost
from edge_agent.monitoring.latency import LatencyRecorder
from edge_agent.monitoring.metrics import MetricsCollector, MetricsSources
from edge_agent.monitoring.reading_counts import ReadingCounts
from edge_agent.spool import MemorySpool, Message
from tests.results import any_result
from tests.unit.monitoring.conftest import machine

SESSION = uuid7()


class Bench:
    """Sources whose figures the test sets, with a clock that it moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.readings = ReadingCounts()
        self.capture = CaptureCounters(0, 0, 0, 0)
        self.spool = MemorySpool(10_000)
        self.latency = LatencyRecorder()
        self.collector = MetricsCollector(
            MetricsSources(lambda: self.readings, lambda: self.capture, self.spool.stats, self.latency),
            SESSION,
            monotonic_s=lambda: self.now_s,
        )

    def collect(self) -> Metrics:
        found = self.collector.collect(Topics("clinic-a", "scope-1"), machine())
        return Metrics.model_validate_json(found.to_json())


def test_counts_rates_and_latency_are_those_of_the_time_since_the_message_before() -> None:
    bench = Bench()
    bench.now_s += 30
    bench.readings = ReadingCounts(15)
    bench.capture = CaptureCounters(frames_count=300, superseded_count=4, identical_count=3, reopened_count=2)
    for _ in range(15):
        bench.latency.add({"total": 20.0, "inference": 12.0})
    first = bench.collect()
    assert (first.device, first.session, first.uptime_s) == ("scope-1", SESSION, 30.0)
    assert (first.readings_count, first.reading_rate_hz, first.frame_rate_hz) == (15, 0.5, 10.0)
    assert first.capture == CaptureMetrics(frames_count=300, superseded_count=4, identical_count=3, reopened_count=2)
    assert first.latency_ms == {
        "total": Percentiles(p50_ms=20.0, p95_ms=20.0, p99_ms=20.0, samples_count=15),
        "inference": Percentiles(p50_ms=12.0, p95_ms=12.0, p99_ms=12.0, samples_count=15),
    }
    assert first.machine == machine()

    bench.now_s += 8
    bench.readings = ReadingCounts(17)
    bench.capture = CaptureCounters(frames_count=302, superseded_count=4, identical_count=3, reopened_count=2)
    second = bench.collect()
    assert second.uptime_s == 38.0
    assert (second.readings_count, second.reading_rate_hz, second.frame_rate_hz) == (17, 0.25, 0.25)
    assert second.latency_ms == {}

    bench.now_s += 30
    third = bench.collect()
    assert (third.readings_count, third.reading_rate_hz, third.frame_rate_hz) == (17, 0.0, 0.0)


def test_frames_are_counted_on_when_a_reload_begins_to_count_again() -> None:
    bench = Bench()
    bench.now_s += 10
    bench.capture = CaptureCounters(100, 0, 0, 0)
    assert bench.collect().frame_rate_hz == 10.0
    bench.now_s += 10
    bench.capture = CaptureCounters(20, 0, 0, 0)
    assert bench.collect().frame_rate_hz == 2.0
    bench.now_s += 10
    bench.capture = CaptureCounters(50, 0, 0, 0)
    assert bench.collect().frame_rate_hz == 3.0


def test_no_time_between_two_messages_is_no_division_by_zero() -> None:
    bench = Bench()
    assert bench.collect().reading_rate_hz == 0.0


def test_the_spools_figures_are_its_own() -> None:
    bench = Bench()
    for _ in range(5):
        bench.spool.append(Message(uuid7(), "leukoscope/v1/clinic/scope-1/event", b"x" * 100))
    taken = [bench.spool.take(live=True) for _ in range(2)]
    assert taken[0] is not None
    bench.spool.acknowledge(taken[0].id)
    spool = bench.collect().spool
    assert spool.accepted_count == 5
    assert spool.acknowledged_count == 1
    assert (spool.waiting_count, spool.in_flight_count) == (3, 1)
    assert spool.stored_bytes == 400
    assert (spool.refused_count, spool.dropped_count) == (0, 0)
    assert spool.oldest_age_s is not None


READINGS = st.lists(
    st.one_of(
        st.builds(lambda label: {"outcome": Outcome.CLASSIFIED, "label": label}, st.sampled_from(["benign", "pro-b"])),
        st.builds(
            lambda outcome, reason: {"outcome": outcome, "reason": reason},
            st.sampled_from([Outcome.ABSTAINED, Outcome.REJECTED]),
            st.sampled_from([*Reason, "a_reason_of_a_later_release"]),
        ),
        st.just({"outcome": Outcome.FAILED, "error": ErrorReport.from_error(CameraLost("unplugged."))}),
    ),
    max_size=30,
)


@given(READINGS)
def test_every_reading_is_in_the_counts_once_by_outcome_and_by_what_explains_it(
    readings: list[dict[str, object]],
) -> None:
    plain = any_result().model_copy(update={"error": None, "reason": None, "label": None})
    bench = Bench()
    for changes in readings:
        bench.readings = bench.readings.counting(plain.model_copy(update=changes))
    found = bench.collect()
    assert found.readings_count == sum(found.outcomes_count.values()) == len(readings)
    # Counters that start at 0 can be told from those that were not counted yet.
    assert set(found.outcomes_count) == set(Outcome)
    classified = found.outcomes_count[Outcome.CLASSIFIED]
    assert sum(found.labels_count.values()) == classified
    assert sum(found.reasons_count.values()) == len(readings) - classified
    assert found.reasons_count.get(CameraLost.code, 0) == found.outcomes_count[Outcome.FAILED]
