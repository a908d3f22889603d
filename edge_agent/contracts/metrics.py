"""``metrics``: figures of the last while, every 30 s, with QoS 0."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.contracts.manifest import Slug

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(ge=0)]


class Percentiles(Contract):
    """Of the readings since the metrics before."""

    p50_ms: Positive
    p95_ms: Positive
    p99_ms: Positive
    samples_count: Count


class CaptureMetrics(Contract):
    """What became of the frames that the camera gave. Counts are since the camera was last configured."""

    frames_count: Count
    superseded_count: Count = Field(description="Dropped because a newer one came first.")
    identical_count: Count = Field(description="Dropped because they were the one before once more.")
    reopened_count: Count


class SpoolMetrics(Contract):
    """Of the queue to the broker. Counts go on over restarts, as long as the file lasts."""

    waiting_count: Count
    in_flight_count: Count
    stored_bytes: Count
    oldest_age_s: Positive | None = Field(
        description="Seconds that the oldest message has waited, in time during which the agent ran."
    )
    accepted_count: Count
    acknowledged_count: Count
    refused_count: Count = Field(description="Turned away because the spool was full or could not write.")
    dropped_count: Count = Field(description="Deleted unsent: the oldest for room, the too old, and by purge.")
    quarantined_count: Count = Field(
        default=0,
        description="Refused by the broker or damaged, and kept in the spool; 'edge-agent spool export --quarantined'.",
    )
    commits_count: Count = Field(description="Durable writes since the agent began.")
    checkpoints_count: Count = Field(description="Since the agent began; each syncs twice more.")


class MachineMetrics(Contract):
    """Of the computer. Null where it does not tell."""

    cpu_temperature_c: float | None
    throttling: tuple[str, ...] | None = Field(
        description="Of a Raspberry Pi, now and since boot: under_voltage, frequency_capped, throttled, "
        "soft_temperature_limit, each also with '_occurred'."
    )
    cpu_use_pct: Positive
    resident_bytes: Count
    memory_available_bytes: Count
    disk_free_bytes: Count
    written_bytes: Count | None = Field(description="By this process to storage since it began.")
    open_files_count: Count


class Metrics(Contract):
    """Figures for dashboards."""

    schema_: Literal["leukoscope/metrics/v1"] = Field(default="leukoscope/metrics/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    device: Slug
    session: UUID
    at: UtcTime
    uptime_s: Positive
    readings_count: Count = Field(description="Of this session.")
    reading_rate_hz: Positive = Field(description="Since the metrics before.")
    frame_rate_hz: Positive = Field(description="Frames that the camera handed on since the metrics before.")
    latency_ms: dict[Slug, Percentiles] = Field(description="Per stage, as in results.")
    capture: CaptureMetrics
    spool: SpoolMetrics
    machine: MachineMetrics
