"""The numbers of the ``metrics`` message as Prometheus names them: base units, and counters that end in ``_total``.

Prometheus's conventions are at prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edge_agent.contracts import Contract, Metrics


class Kind(Enum):
    """How a figure may change."""

    COUNTER = "counter"
    """Only grows, or begins at zero again. Its sample's name gets ``_total``."""
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the message, and its name in Prometheus."""

    path: str
    """Names of the message's fields, joined by dots."""
    name: str
    """Without the prefix, and without a counter's ``_total``."""
    kind: Kind = Kind.GAUGE
    factor: float = 1.0
    """Factor from the message's unit to the base unit."""
    lasts: bool = False
    """For a counter: whether it continues over restarts of the agent, rather than from zero."""

    def value(self, metrics: Metrics) -> float | None:
        """The figure of a message; None if it has none."""
        found: object = metrics
        for step in self.path.split("."):
            found = None if found is None else getattr(found, step)
        return float(found) * self.factor if isinstance(found, int | float) else None

    def explanation(self) -> str:
        """The figure's description in the contract."""
        kind: type[Contract] = Metrics
        *steps, last = self.path.split(".")
        for step in steps:
            kind = next(
                each
                for each in (kind.model_fields[step].annotation, *_options(kind.model_fields[step].annotation))
                if isinstance(each, type) and issubclass(each, Contract)
            )
        words = kind.model_fields[last].description or last
        return words.removesuffix(".")


def _options(annotation: object) -> tuple[object, ...]:
    return getattr(annotation, "__args__", ())


FIGURES = (
    Figure("uptime_s", "uptime_seconds"),
    Figure("reading_rate_hz", "reading_rate_hertz"),
    Figure("reading_pause_s", "reading_pause_seconds"),
    Figure("frame_rate_hz", "frame_rate_hertz"),
    Figure("capture.frames_count", "capture_frames", Kind.COUNTER),
    Figure("capture.superseded_count", "capture_superseded_frames", Kind.COUNTER),
    Figure("capture.identical_count", "capture_identical_frames", Kind.COUNTER),
    Figure("capture.reopened_count", "capture_reopened", Kind.COUNTER),
    Figure("spool.waiting_count", "spool_waiting_messages"),
    Figure("spool.in_flight_count", "spool_in_flight_messages"),
    Figure("spool.stored_bytes", "spool_stored_bytes"),
    Figure("spool.oldest_age_s", "spool_oldest_age_seconds"),
    Figure("spool.accepted_count", "spool_accepted_messages", Kind.COUNTER, lasts=True),
    Figure("spool.acknowledged_count", "spool_acknowledged_messages", Kind.COUNTER, lasts=True),
    Figure("spool.refused_count", "spool_refused_messages", Kind.COUNTER, lasts=True),
    Figure("spool.dropped_count", "spool_dropped_messages", Kind.COUNTER, lasts=True),
    # Not a counter: the oldest are dropped for good when they take too much space.
    Figure("spool.quarantined_count", "spool_quarantined_messages"),
    Figure("spool.commits_count", "spool_commits", Kind.COUNTER),
    Figure("spool.checkpoints_count", "spool_checkpoints", Kind.COUNTER),
    Figure("machine.cpu_temperature_c", "machine_cpu_temperature_celsius"),
    Figure("machine.cpu_use_pct", "machine_cpu_use_ratio", factor=0.01),
    Figure("machine.resident_bytes", "machine_resident_bytes"),
    Figure("machine.memory_available_bytes", "machine_memory_available_bytes"),
    Figure("machine.memory_pressure_pct", "machine_memory_pressure_ratio", factor=0.01),
    Figure("machine.memory_kills_count", "machine_memory_kills", Kind.COUNTER),
    Figure("machine.disk_free_bytes", "machine_disk_free_bytes"),
    Figure("machine.written_bytes", "machine_written_bytes", Kind.COUNTER),
    Figure("machine.open_files_count", "machine_open_files"),
    Figure("shadow.compared_count", "shadow_compared_fields", Kind.COUNTER),
    Figure("shadow.unfit_count", "shadow_unfit_frames", Kind.COUNTER),
    Figure("shadow.agreeing_count", "shadow_agreeing_fields", Kind.COUNTER),
    Figure("shadow.agreement_ratio", "shadow_agreement_ratio"),
    Figure("shadow.agreement_low_ratio", "shadow_agreement_low_ratio"),
    Figure("shadow.agreement_high_ratio", "shadow_agreement_high_ratio"),
    Figure("shadow.both_classified_count", "shadow_both_classified_fields", Kind.COUNTER),
    Figure("shadow.other_label_count", "shadow_other_label_fields", Kind.COUNTER),
    Figure("shadow.active_refused_count", "shadow_active_refused_fields", Kind.COUNTER),
    Figure("shadow.candidate_refused_count", "shadow_candidate_refused_fields", Kind.COUNTER),
    Figure("shadow.passed_over_count", "shadow_passed_over_readings", Kind.COUNTER),
    Figure("shadow.failures_count", "shadow_failures", Kind.COUNTER),
)
"""Every plain number of the message; ``readings_count`` is the sum of the readings by outcome."""
