"""What devices say in ``metrics`` and ``health``, as metrics of Prometheus.

One definition for the endpoint of a device and for that of a collector, so that a dashboard or an alert reads either.
Names follow Prometheus: seconds, bytes, celsius and ratios; what only grows is a counter.

prometheus-client is needed (extra ``prometheus``), so nothing that an agent without an endpoint loads imports this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client.core import Metric

from edge_agent.contracts import Check, CheckState, Metrics

PREFIX = "leukoscope_"
DEVICE_LABELS = ("site", "device")

MAX_VALUES_COUNT = 100
"""Different values of a label that comes from a message, for each device. A message may name any reason."""
MAX_VALUE_LENGTH = 64


class Kind(StrEnum):
    """How a family behaves, in Prometheus's words."""

    GAUGE = "gauge"
    COUNTER = "counter"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name without the prefix, and the labels that it has beside site and device."""

    name: str
    kind: Kind
    explanation: str
    labels: tuple[str, ...] = ()
    lasts: bool = False
    """Of a counter: whether it goes on over restarts of the agent, rather than from zero."""

    def metric(self) -> Metric:
        """An empty one, to which ``add`` adds."""
        return Metric(f"{PREFIX}{self.name}", self.explanation, self.kind.value)

    def add(self, metric: Metric, site: str, device: str, sample: Sample) -> None:
        """Add the value of one device."""
        labels = {"site": site, "device": device, **dict(zip(self.labels, sample.labels, strict=True))}
        suffix = "_total" if self.kind is Kind.COUNTER else ""
        metric.add_sample(f"{metric.name}{suffix}", labels, sample.value)


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a family, with the values of its labels."""

    family: Family
    value: float
    labels: tuple[str, ...] = ()


def _gauge(name: str, explanation: str, *labels: str) -> Family:
    return Family(name, Kind.GAUGE, explanation, labels)


def _counter(name: str, explanation: str, *labels: str, lasts: bool = False) -> Family:
    return Family(name, Kind.COUNTER, explanation, labels, lasts)


OUTCOMES = _counter("outcomes", "Readings by outcome", "outcome")
REASONS = _counter("refusals", "Readings that were refused or failed, by reason or code of the error", "reason")
LABELS = _counter("labels", "Classified readings by label", "label")
LATENCY = Family(
    "latency_seconds", Kind.SUMMARY, "Latency of each stage in the last half minute", ("stage", "quantile")
)
CHECK_OK = _gauge(
    "check_ok", "1 if the check found no fault, 0 if it did; left out where nothing can be measured", "check"
)
CHECK_STATE = _gauge("check_state", "1 for the state that the check is in, else 0", "check", "state")
CHECK_INFO = _gauge("check_info", "1 for each check that found a fault, with the code of the error", "check", "code")

_Read = Callable[[Metrics], float | None]

_PLAIN: tuple[tuple[Family, _Read], ...] = (
    (_gauge("uptime_seconds", "Time since the agent started"), lambda m: m.uptime_s),
    (_counter("readings", "Readings since the agent started"), lambda m: m.readings_count),
    (_counter("camera_frames", "Frames that were passed on to the analysis"), lambda m: m.capture.frames_count),
    (
        _counter("camera_frames_superseded", "Frames dropped because a newer one came first"),
        lambda m: m.capture.superseded_count,
    ),
    (
        _counter("camera_frames_identical", "Frames dropped because they repeated the one before"),
        lambda m: m.capture.identical_count,
    ),
    (
        _counter("camera_reopenings", "Times that the camera was opened again after a fault"),
        lambda m: m.capture.reopened_count,
    ),
    (_gauge("spool_waiting_messages", "Messages waiting to be sent"), lambda m: m.spool.waiting_count),
    (_gauge("spool_in_flight_messages", "Messages sent and not acknowledged yet"), lambda m: m.spool.in_flight_count),
    (_gauge("spool_stored_bytes", "Size of the messages that wait or are in flight"), lambda m: m.spool.stored_bytes),
    (_gauge("spool_oldest_age_seconds", "Age of the oldest message that waits"), lambda m: m.spool.oldest_age_s),
    (
        _gauge("spool_quarantined_messages", "Messages refused by the broker or damaged, and kept"),
        lambda m: m.spool.quarantined_count,
    ),
    (_counter("spool_accepted", "Messages taken into the spool", lasts=True), lambda m: m.spool.accepted_count),
    (
        _counter("spool_acknowledged", "Messages that the broker has acknowledged", lasts=True),
        lambda m: m.spool.acknowledged_count,
    ),
    (
        _counter("spool_refused", "Messages not taken because the spool was full or could not write", lasts=True),
        lambda m: m.spool.refused_count,
    ),
    (_counter("spool_dropped", "Messages deleted unsent", lasts=True), lambda m: m.spool.dropped_count),
    (_counter("spool_commits", "Durable writes of the spool"), lambda m: m.spool.commits_count),
    (_counter("spool_checkpoints", "Checkpoints of the spool's write-ahead log"), lambda m: m.spool.checkpoints_count),
    (
        _gauge("cpu_temperature_celsius", "Temperature of the processor's hottest sensor"),
        lambda m: m.machine.cpu_temperature_c,
    ),
    (
        _gauge("cpu_use_ratio", "Processor time used by the agent; 1 is one core"),
        lambda m: m.machine.cpu_use_pct / 100,
    ),
    (_gauge("resident_memory_bytes", "Memory used by the agent"), lambda m: m.machine.resident_bytes),
    (
        _gauge("memory_available_bytes", "Memory that is still available to programs"),
        lambda m: m.machine.memory_available_bytes,
    ),
    (
        _gauge("disk_free_bytes", "Free space on the disk that holds the agent's state"),
        lambda m: m.machine.disk_free_bytes,
    ),
    (
        _counter("written_bytes", "Bytes that the agent has written to storage"),
        lambda m: m.machine.written_bytes,
    ),
    (_gauge("open_files", "Files and connections that the agent has open"), lambda m: m.machine.open_files_count),
    (
        _gauge("shadow_agreement_ratio", "Share of the compared fields on which the candidate agrees"),
        lambda m: m.shadow and m.shadow.agreement_ratio,
    ),
)

FAMILIES = (*(family for family, _ in _PLAIN), OUTCOMES, REASONS, LABELS, LATENCY, CHECK_OK, CHECK_STATE, CHECK_INFO)
"""All of them, in the order in which they are served."""


def samples_of_metrics(metrics: Metrics) -> Iterator[Sample]:
    """Every figure of a message; what is null is left out."""
    for family, read in _PLAIN:
        value = read(metrics)
        if value is not None:
            yield Sample(family, float(value))
    for family, counts in (
        (OUTCOMES, metrics.outcomes_count),
        (REASONS, metrics.reasons_count),
        (LABELS, metrics.labels_count),
    ):
        for name, count in list(counts.items())[:MAX_VALUES_COUNT]:
            yield Sample(family, float(count), (str(name)[:MAX_VALUE_LENGTH],))
    for stage, times in list(metrics.latency_ms.items())[:MAX_VALUES_COUNT]:
        for quantile, value_ms in (("0.5", times.p50_ms), ("0.95", times.p95_ms), ("0.99", times.p99_ms)):
            yield Sample(LATENCY, value_ms / 1000, (stage, quantile))


def samples_of_checks(checks: Iterable[Check]) -> Iterator[Sample]:
    """The state of each part. Unknown ones are left out of ``check_ok``, so that no alert fires on them."""
    for check in list(checks)[:MAX_VALUES_COUNT]:
        if check.state is not CheckState.UNKNOWN:
            yield Sample(CHECK_OK, float(check.state is CheckState.OK), (check.name,))
        if check.state is CheckState.DEGRADED:
            yield Sample(CHECK_INFO, 1.0, (check.name, (check.code or "")[:MAX_VALUE_LENGTH]))
        for each in CheckState:
            yield Sample(CHECK_STATE, float(check.state is each), (check.name, each.value))


def metrics_of(samples: Iterable[tuple[str, str, Sample]], families: Iterable[Family] = FAMILIES) -> Iterator[Metric]:
    """From samples, each with its site and device, to what prometheus-client serves. Empty families are left out."""
    metrics = {family.name: family.metric() for family in families}
    for site, device, sample in samples:
        sample.family.add(metrics[sample.family.name], site, device, sample)
    yield from (metric for metric in metrics.values() if metric.samples)
