"""The tables, as SQLAlchemy Core. ``migrations`` creates them; a test checks that the two agree.

Numbers have their unit in the name, as in the contract. Every row keeps the message from which it was made in
``payload``. ``received_at`` is by the collector's clock; every other time is the device's own, which may be wrong.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)

from edge_agent.collector.column_types import FiguresJson, PayloadJson, UtcDateTime

metadata = MetaData()

results = Table(
    "results",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("site", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("camera", Text, nullable=False),
    Column("session", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("captured_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("clock_synchronised", Boolean),
    Column("replayed", Boolean, nullable=False),
    Column("demonstration", Boolean, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("specimen", Text),
    Column("slide", Integer),
    Column("field", BigInteger),
    Column("repeats_field", BigInteger),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("error_code", Text),
    Column("label", Text),
    Column("malignant", Boolean),
    Column("malignant_ratio", Double),
    Column("confidence_ratio", Double),
    Column("unfamiliarity_score", Double),
    Column("probabilities", FiguresJson),
    Column("focus_score", Double),
    Column("brightness_pct", Double),
    Column("nuclei_count", BigInteger),
    Column("nuclei_coverage_pct", Double),
    Column("um_per_pixel", Double),
    Column("latency_total_ms", Double),
    Column("latency_ms", FiguresJson, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("model_sha256", Text, nullable=False),
    Column("head_name", Text),
    Column("head_version", Text),
    Column("software", Text, nullable=False),
    Column("source", Text),
    Column("image_sha256", Text),
    Column("payload", PayloadJson, nullable=False),
    Column("cells_judged_count", BigInteger),
    Column("cells_refused_count", BigInteger),
    Column("blasts_count", BigInteger),
    Column("blast_ratio", Double),
    Column("types_count", FiguresJson),
    # Both are the same for a repeated delivery, and partitions need the time in every key.
    PrimaryKeyConstraint("captured_at", "id"),
    Index("ix_results_device", "site", "device", "captured_at"),
    Index("ix_results_session", "session", "seq"),
    Index("ix_results_specimen", "specimen", "slide"),
    postgresql_partition_by="RANGE (captured_at)",
)
"""One row per reading."""

events = Table(
    "events",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("site", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("session", Uuid, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("replayed", Boolean, nullable=False),
    Column("kind", Text, nullable=False),
    Column("code", Text),
    Column("message", Text, nullable=False),
    Column("details", FiguresJson, nullable=False),
    Column("payload", PayloadJson, nullable=False),
    PrimaryKeyConstraint("at", "id"),
    Index("ix_events_device", "site", "device", "at"),
    postgresql_partition_by="RANGE (at)",
)
"""One row per event of a device."""

reports = Table(
    "reports",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("site", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("session", Uuid, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("replayed", Boolean, nullable=False),
    Column("demonstration", Boolean, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("specimen", Text, nullable=False),
    Column("slide", Integer, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
    Column("readings_count", BigInteger, nullable=False),
    Column("judged_count", BigInteger),
    Column("malignant_count", BigInteger, nullable=False),
    Column("malignant_ratio", Double),
    Column("low_ratio", Double),
    Column("high_ratio", Double),
    Column("outcomes_count", FiguresJson, nullable=False),
    Column("labels_count", FiguresJson, nullable=False),
    Column("payload", PayloadJson, nullable=False),
    Column("cells_judged_count", BigInteger),
    Column("cells_refused_count", BigInteger),
    Column("blasts_count", BigInteger),
    Column("blast_ratio", Double),
    Column("blast_low_ratio", Double),
    Column("blast_high_ratio", Double),
    Column("types_count", FiguresJson),
    PrimaryKeyConstraint("id"),
    Index("ix_reports_device", "site", "device", "finished_at"),
    Index("ix_reports_specimen", "specimen", "slide"),
)
"""One row per finished slide; few, so they are not partitioned."""

metrics = Table(
    "metrics",
    metadata,
    Column("site", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("session", Uuid, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("uptime_s", Double, nullable=False),
    Column("readings_count", BigInteger, nullable=False),
    Column("reading_rate_hz", Double, nullable=False),
    Column("frame_rate_hz", Double, nullable=False),
    Column("latency_p50_ms", Double),
    Column("latency_p99_ms", Double),
    Column("waiting_count", BigInteger, nullable=False),
    Column("oldest_age_s", Double),
    Column("dropped_count", BigInteger, nullable=False),
    Column("quarantined_count", BigInteger, nullable=False),
    Column("cpu_temperature_c", Double),
    Column("cpu_use_pct", Double, nullable=False),
    Column("resident_bytes", BigInteger),
    Column("disk_free_bytes", BigInteger),
    Column("payload", PayloadJson, nullable=False),
    PrimaryKeyConstraint("at", "site", "device", "session"),
    Index("ix_metrics_device", "site", "device", "at"),
    postgresql_partition_by="RANGE (at)",
)
"""Figures of each device, every 30 seconds. Latency is that of the stage ``total``."""

devices = Table(
    "devices",
    metadata,
    Column("site", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("session", Uuid),
    Column("state", Text),
    Column("code", Text),
    Column("status_at", UtcDateTime),
    Column("status_received_at", UtcDateTime),
    Column("health_state", Text),
    Column("health_at", UtcDateTime),
    Column("info", FiguresJson),
    Column("health", FiguresJson),
    Column("model_reported", FiguresJson),
    Column("newest_session", Uuid),
    Column("newest_seq", BigInteger),
    Column("newest_captured_at", UtcDateTime),
    Column("newest_received_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("site", "device"),
)
"""The state of each device, by the session rule. ``newest`` is the result with the highest session and number.

``state`` is as the device reported it. A device whose ``status_received_at`` is older than three heartbeats is silent,
whatever it reported.
"""

unreadable = Table(
    "unreadable",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), nullable=False, autoincrement=True),
    Column("received_at", UtcDateTime, nullable=False),
    Column("topic", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    PrimaryKeyConstraint("number"),
)
"""The newest messages that could not be read, with the beginning of their payload. Bounded."""

collectors = Table(
    "collectors",
    metadata,
    Column("instance", Text, nullable=False),
    Column("software", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("stored_count", BigInteger, nullable=False),
    Column("repeated_count", BigInteger, nullable=False),
    Column("unreadable_count", BigInteger, nullable=False),
    Column("dropped_count", BigInteger, nullable=False),
    Column("retries_count", BigInteger, nullable=False),
    Column("behind_s", Double),
    PrimaryKeyConstraint("instance"),
)
"""Each collector's own figures since its start, written with its batches and every few seconds.

``behind_s`` is the time from capture to commit of the last stored live result.
"""

BY_DAY = {results.name: "captured_at", events.name: "at", metrics.name: "at"}
"""Tables that PostgreSQL keeps in one partition per day, by this column."""
