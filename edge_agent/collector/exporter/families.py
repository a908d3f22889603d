"""The metrics besides the figures that devices send: the devices' states, and the collector's own figures."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from edge_agent import __version__
from edge_agent.client.liveness import Presence
from edge_agent.collector.exporter.fleet import Fleet, Shown
from edge_agent.collector.figures import Figures
from edge_agent.metric_families import DEVICE_LABELS, PREFIX, metrics_of

STATES = tuple(presence for presence in Presence if presence is not Presence.UNKNOWN)


def fleet_metrics(fleet: Fleet) -> Iterator[Metric]:
    """The states of every device."""
    shown = fleet.read()
    yield from _states(shown)
    yield from metrics_of((each.device.site, each.device.id, sample) for each in shown for sample in each.samples)


def _states(shown: list[Shown]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        f"{PREFIX}device_state", "1 for the state that the device is in, else 0", labels=[*DEVICE_LABELS, "state"]
    )
    age = GaugeMetricFamily(
        f"{PREFIX}device_heartbeat_age_seconds", "Time since the device said its status", labels=DEVICE_LABELS
    )
    info = GaugeMetricFamily(
        f"{PREFIX}device_info", "What runs on the device", labels=[*DEVICE_LABELS, "software", "model", "model_version"]
    )
    for each in shown:
        device, labels = each.device, [each.device.site, each.device.id]
        if each.heartbeat_age_s is not None:
            age.add_metric(labels, each.heartbeat_age_s)
            for presence in STATES:
                state.add_metric([*labels, presence], float(presence is device.presence))
        if device.info is not None:
            model = device.info.model
            info.add_metric([*labels, device.info.software.leukoscope, model.name, model.version], 1.0)
    yield state
    yield age
    yield info


def collector_metrics(figures: Figures, fleet: Fleet, instance: str) -> Iterator[Metric]:
    """The collector's own figures, since it started. Their counters are copied at once, as the event loop goes on."""
    base = f"{PREFIX}collector_"

    def gauge(name: str, explanation: str, value: float | None) -> Iterator[Metric]:
        if value is not None:
            yield GaugeMetricFamily(f"{base}{name}", explanation, value=float(value))

    def counter(name: str, explanation: str, value: int) -> Iterator[Metric]:
        yield CounterMetricFamily(f"{base}{name}", explanation, value=value)

    def counters(name: str, explanation: str, label: str, values: dict[str, int]) -> Iterator[Metric]:
        family = CounterMetricFamily(f"{base}{name}", explanation, labels=[label])
        for each, value in values.items():
            family.add_metric([str(each)], value)
        yield family

    info = GaugeMetricFamily(f"{base}info", "The collector", labels=["collector", "software"])
    info.add_metric([instance, f"leukoscope {__version__}"], 1.0)
    yield info
    yield from gauge("start_time_seconds", "When the collector started", figures.started_at.timestamp())
    yield from gauge("database_up", "1 if the database takes what is written, else 0", figures.database_error is None)
    yield from gauge("broker_up", "1 if connected and subscribed, else 0", figures.broker_error is None)
    yield from gauge("waiting_messages", "Messages received and not stored yet", figures.waiting_count)
    yield from gauge("behind_seconds", "From capture to commit, of the newest live results", figures.behind_s)
    committed_at = figures.committed_at
    if committed_at is not None:
        yield from gauge("last_commit_timestamp_seconds", "When it stored something last", committed_at.timestamp())
    yield from counters("received_messages", "Messages received, by kind", "kind", dict(figures.received_count))
    yield from counters("stored_rows", "New rows, by table", "table", dict(figures.stored_count))
    yield from counters(
        "unreadable_messages", "Messages that could not be read, by fault", "fault", dict(figures.unreadable_count)
    )
    yield from counter("acknowledged_messages", "Messages acknowledged to the broker", figures.acknowledged_count)
    yield from counter("repeated_messages", "Messages that were in the database already", figures.repeated_count)
    yield from counter("dropped_messages", "Metrics let go while the database was gone", figures.dropped_count)
    yield from counter("failed_writes", "Attempts to write that the database did not take", figures.retries_count)
    yield from counter("ignored_messages", "Messages of more devices than are shown here", fleet.ignored_count)
    yield from figures.batch_seconds.collect()
