"""Turns the messages ``metrics`` and ``health`` of devices into metrics of Prometheus.

The names are the same at the endpoint of a device and at that of a collector, so that a dashboard or an alert works
with both.

prometheus-client is needed (extra ``prometheus``), so nothing that an agent without an endpoint loads imports this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric

from edge_agent.contracts import Check, CheckState, Metrics
from edge_agent.metric_figures import FIGURES, Kind

PREFIX = "leukoscope_"
DEVICE_LABELS = ("site", "device")

MAX_VALUES_COUNT = 100
"""Most values of a label that comes from messages, for each device. A message may name any reason."""
MAX_VALUE_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name without the prefix, and its labels besides site and device."""

    name: str
    kind: Kind
    explanation: str
    labels: tuple[str, ...] = ()
    lasts: bool = False
    """For a counter: whether it continues over restarts of the agent, rather than from zero."""

    def metric(self) -> Metric:
        """An empty metric, to which ``add`` adds values."""
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


READINGS = Family("readings", Kind.COUNTER, "Readings since the agent started, by outcome", ("outcome",))
REFUSALS = Family(
    "refusals", Kind.COUNTER, "Readings without a label since the agent started, by reason or error's code", ("reason",)
)
LABELS = Family("labels", Kind.COUNTER, "Classified readings since the agent started, by label", ("label",))
LATENCY = Family(
    "latency_seconds",
    Kind.GAUGE,
    "Latency of the readings of the last half minute, by stage",
    ("stage", "percentile"),
)
CHECK_OK = Family(
    "check_ok",
    Kind.GAUGE,
    "1 if the check found no fault, 0 if it did; left out where nothing can be measured",
    ("check", "code"),
)
CHECK_STATE = Family("check_state", Kind.GAUGE, "1 for the state that the check is in, else 0", ("check", "state"))

_PLAIN = tuple(
    (figure, Family(figure.name, figure.kind, figure.explanation(), lasts=figure.lasts)) for figure in FIGURES
)

FAMILIES = (*(family for _, family in _PLAIN), READINGS, REFUSALS, LABELS, LATENCY, CHECK_OK, CHECK_STATE)
"""All families, in the order in which they are served."""


def samples_of_metrics(metrics: Metrics) -> Iterator[Sample]:
    """Every figure of a message, without those that are null."""
    for figure, family in _PLAIN:
        value = figure.value(metrics)
        if value is not None:
            yield Sample(family, value)
    for family, counts in (
        (READINGS, metrics.outcomes_count),
        (REFUSALS, metrics.reasons_count),
        (LABELS, metrics.labels_count),
    ):
        for name, count in list(counts.items())[:MAX_VALUES_COUNT]:
            yield Sample(family, float(count), (str(name)[:MAX_VALUE_LENGTH],))
    for stage, times in list(metrics.latency_ms.items())[:MAX_VALUES_COUNT]:
        for percentile, value_ms in (("50", times.p50_ms), ("95", times.p95_ms), ("99", times.p99_ms)):
            yield Sample(LATENCY, value_ms / 1000, (stage, percentile))


def samples_of_checks(checks: Iterable[Check]) -> Iterator[Sample]:
    """The state of each part. Unknown states are left out of ``check_ok``, so that no alert fires on them."""
    for check in list(checks)[:MAX_VALUES_COUNT]:
        if check.state is not CheckState.UNKNOWN:
            code = (check.code or "")[:MAX_VALUE_LENGTH]
            yield Sample(CHECK_OK, float(check.state is CheckState.OK), (check.name, code))
        for each in CheckState:
            yield Sample(CHECK_STATE, float(check.state is each), (check.name, each.value))


def metrics_of(samples: Iterable[tuple[str, str, Sample]], families: Iterable[Family] = FAMILIES) -> Iterator[Metric]:
    """Metrics for prometheus-client, from samples with their site and device. Empty families are left out."""
    metrics = {family.name: family.metric() for family in families}
    for site, device, sample in samples:
        sample.family.add(metrics[sample.family.name], site, device, sample)
    yield from (metric for metric in metrics.values() if metric.samples)
