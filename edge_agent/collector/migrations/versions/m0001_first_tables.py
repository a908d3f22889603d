"""The first tables.

In PostgreSQL, what grows with time is partitioned by day, or a hypertable where this database has the extension
TimescaleDB. ``edge_agent.collector.partitions`` makes the partitions of the days; what belongs to none of them, because
a device's clock is far off, is in the partition ``..._default``.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)
_FIGURES = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_BY_DAY = (("results", "captured_at"), ("events", "at"), ("metrics", "at"))


def upgrade() -> None:
    """Create everything."""
    connection = op.get_bind()
    is_postgresql = connection.dialect.name == "postgresql"
    has_timescale = is_postgresql and bool(
        connection.scalar(sa.text("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"))
    )

    def by_range(column: str) -> dict[str, Any]:
        return {} if has_timescale else {"postgresql_partition_by": f"RANGE ({column})"}

    op.create_table(
        "collectors",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("stored_count", sa.BigInteger(), nullable=False),
        sa.Column("repeated_count", sa.BigInteger(), nullable=False),
        sa.Column("unreadable_count", sa.BigInteger(), nullable=False),
        sa.Column("dropped_count", sa.BigInteger(), nullable=False),
        sa.Column("retries_count", sa.BigInteger(), nullable=False),
        sa.Column("behind_s", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("instance"),
    )
    op.create_table(
        "devices",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("session", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("status_at", _TIME, nullable=True),
        sa.Column("status_received_at", _TIME, nullable=True),
        sa.Column("health_state", sa.Text(), nullable=True),
        sa.Column("health_at", _TIME, nullable=True),
        sa.Column("info", _FIGURES, nullable=True),
        sa.Column("health", _FIGURES, nullable=True),
        sa.Column("model_reported", _FIGURES, nullable=True),
        sa.Column("newest_session", sa.Uuid(), nullable=True),
        sa.Column("newest_seq", sa.BigInteger(), nullable=True),
        sa.Column("newest_captured_at", _TIME, nullable=True),
        sa.Column("newest_received_at", _TIME, nullable=True),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("site", "device"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("session", sa.Uuid(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("replayed", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("details", _FIGURES, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("at", "id"),
        **by_range("at"),
    )
    op.create_index("ix_events_device", "events", ["site", "device", "at"])
    op.create_table(
        "metrics",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("session", sa.Uuid(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("uptime_s", sa.Double(), nullable=False),
        sa.Column("readings_count", sa.BigInteger(), nullable=False),
        sa.Column("reading_rate_hz", sa.Double(), nullable=False),
        sa.Column("frame_rate_hz", sa.Double(), nullable=False),
        sa.Column("latency_p50_ms", sa.Double(), nullable=True),
        sa.Column("latency_p99_ms", sa.Double(), nullable=True),
        sa.Column("waiting_count", sa.BigInteger(), nullable=False),
        sa.Column("oldest_age_s", sa.Double(), nullable=True),
        sa.Column("dropped_count", sa.BigInteger(), nullable=False),
        sa.Column("quarantined_count", sa.BigInteger(), nullable=False),
        sa.Column("cpu_temperature_c", sa.Double(), nullable=True),
        sa.Column("cpu_use_pct", sa.Double(), nullable=False),
        sa.Column("resident_bytes", sa.BigInteger(), nullable=True),
        sa.Column("disk_free_bytes", sa.BigInteger(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("at", "site", "device", "session"),
        **by_range("at"),
    )
    op.create_index("ix_metrics_device", "metrics", ["site", "device", "at"])
    op.create_table(
        "reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("session", sa.Uuid(), nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("replayed", sa.Boolean(), nullable=False),
        sa.Column("demonstration", sa.Boolean(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("specimen", sa.Text(), nullable=False),
        sa.Column("slide", sa.Integer(), nullable=False),
        sa.Column("began_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=False),
        sa.Column("readings_count", sa.BigInteger(), nullable=False),
        sa.Column("judged_count", sa.BigInteger(), nullable=True),
        sa.Column("malignant_count", sa.BigInteger(), nullable=False),
        sa.Column("malignant_ratio", sa.Double(), nullable=True),
        sa.Column("low_ratio", sa.Double(), nullable=True),
        sa.Column("high_ratio", sa.Double(), nullable=True),
        sa.Column("outcomes_count", _FIGURES, nullable=False),
        sa.Column("labels_count", _FIGURES, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reports_device", "reports", ["site", "device", "finished_at"])
    op.create_index("ix_reports_specimen", "reports", ["specimen", "slide"])
    op.create_table(
        "results",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("session", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("captured_at", _TIME, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("clock_synchronised", sa.Boolean(), nullable=True),
        sa.Column("replayed", sa.Boolean(), nullable=False),
        sa.Column("demonstration", sa.Boolean(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("specimen", sa.Text(), nullable=True),
        sa.Column("slide", sa.Integer(), nullable=True),
        sa.Column("field", sa.BigInteger(), nullable=True),
        sa.Column("repeats_field", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("malignant", sa.Boolean(), nullable=True),
        sa.Column("malignant_ratio", sa.Double(), nullable=True),
        sa.Column("confidence_ratio", sa.Double(), nullable=True),
        sa.Column("unfamiliarity_score", sa.Double(), nullable=True),
        sa.Column("probabilities", _FIGURES, nullable=True),
        sa.Column("focus_score", sa.Double(), nullable=True),
        sa.Column("brightness_pct", sa.Double(), nullable=True),
        sa.Column("nuclei_count", sa.BigInteger(), nullable=True),
        sa.Column("nuclei_coverage_pct", sa.Double(), nullable=True),
        sa.Column("um_per_pixel", sa.Double(), nullable=True),
        sa.Column("latency_total_ms", sa.Double(), nullable=True),
        sa.Column("latency_ms", _FIGURES, nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("model_sha256", sa.Text(), nullable=False),
        sa.Column("head_name", sa.Text(), nullable=True),
        sa.Column("head_version", sa.Text(), nullable=True),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("image_sha256", sa.Text(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("captured_at", "id"),
        **by_range("captured_at"),
    )
    op.create_index("ix_results_device", "results", ["site", "device", "captured_at"])
    op.create_index("ix_results_session", "results", ["session", "seq"])
    op.create_index("ix_results_specimen", "results", ["specimen", "slide"])
    op.create_table(
        "unreadable",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    for table, column in _BY_DAY if is_postgresql else ():
        if has_timescale:
            op.execute(f"SELECT create_hypertable('{table}', by_range('{column}', INTERVAL '1 day'))")
        else:
            op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
