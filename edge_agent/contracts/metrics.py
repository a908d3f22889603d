"""``metrics``: figures since the message before, every 30 s, with QoS 0."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import OpenContract, UtcTime
from edge_agent.contracts.manifest import Slug
from edge_agent.contracts.percentiles import Count, Percentiles, Positive
from edge_agent.contracts.result import Outcome
from edge_agent.contracts.shadow import ShadowMetrics


class CaptureMetrics(OpenContract):
    """Counts of the camera's frames since it was last configured."""

    frames_count: Count = Field(description="Frames that were passed on to the analysis.")
    superseded_count: Count = Field(description="Frames dropped because a newer one came first.")
    identical_count: Count = Field(description="Frames dropped because they repeated the one before, byte for byte.")
    reopened_count: Count = Field(description="Times that the camera was opened again after a fault.")


class SpoolMetrics(OpenContract):
    """The queue to the broker. Counts survive restarts, as long as the file exists."""

    waiting_count: Count = Field(description="Messages waiting to be sent.")
    in_flight_count: Count = Field(description="Messages sent and not acknowledged by the broker yet.")
    stored_bytes: Count = Field(description="Size of the payloads of messages that are waiting or in flight.")
    oldest_age_s: Positive | None = Field(
        description="Seconds that the oldest message has waited, in time during which the agent ran."
    )
    accepted_count: Count = Field(description="Messages taken into the spool.")
    acknowledged_count: Count = Field(description="Messages that the broker has acknowledged.")
    refused_count: Count = Field(description="Messages not taken because the spool was full or could not write.")
    dropped_count: Count = Field(
        description="Messages deleted unsent: to make room, because of their age, or by purge."
    )
    quarantined_count: Count = Field(
        default=0,
        description="Messages refused by the broker or damaged, and kept; 'edge-agent spool export --quarantined' "
        "shows them.",
    )
    commits_count: Count = Field(description="Durable writes since the agent started.")
    checkpoints_count: Count = Field(
        description="Copies of the write-ahead log into the file since the agent started; each syncs twice more."
    )


class MachineMetrics(OpenContract):
    """The computer. Null where it cannot measure something."""

    cpu_temperature_c: float | None = Field(description="Temperature of the processor's hottest sensor.")
    throttling: tuple[str, ...] | None = Field(
        description="Of a Raspberry Pi, now and since boot: under_voltage, frequency_capped, throttled, "
        "soft_temperature_limit, each also with '_occurred'. Some kernels report under_voltage alone."
    )
    cpu_use_pct: Positive = Field(description="Processor time used by this process; 100 is one core.")
    resident_bytes: Count = Field(description="Memory used by this process.")
    memory_available_bytes: Count = Field(description="Memory that is still available to programs.")
    memory_pressure_pct: Positive | None = Field(
        default=None, description="Share of the last 10 s in which some program waited for memory."
    )
    memory_kills_count: Count | None = Field(
        default=None, description="Processes of this service that the kernel ended for want of memory."
    )
    disk_free_bytes: Count = Field(description="Free space on the disk that holds the agent's state.")
    written_bytes: Count | None = Field(description="Bytes written to storage by this process since it started.")
    open_files_count: Count = Field(description="Files and connections that this process has open.")


class Metrics(OpenContract):
    """Figures for dashboards."""

    schema_: Literal["leukoscope/metrics/v1"] = Field(default="leukoscope/metrics/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    site: Slug | None = Field(default=None, description="Null only in a message of release 0.2.0 or older.")
    device: Slug
    session: UUID
    at: UtcTime
    uptime_s: Positive = Field(description="Time since the agent started.")
    readings_count: Count = Field(description="Readings of this session.")
    outcomes_count: dict[Outcome, Count] = Field(
        default_factory=dict, description="Readings of this session by outcome; an outcome without one may be left out."
    )
    reasons_count: dict[str, Count] = Field(
        default_factory=dict,
        description="Readings of this session by the reason of a refusal or the code of a failure.",
    )
    labels_count: dict[Slug, Count] = Field(
        default_factory=dict, description="Classified readings of this session by label."
    )
    reading_rate_hz: Positive = Field(description="Readings per second since the metrics before.")
    reading_pause_s: Positive = Field(
        default=0,
        description="Shortest time between two readings because the computer is too hot, weakly powered or short of "
        "memory; 0 if it is not.",
    )
    frame_rate_hz: Positive = Field(description="Frames per second from the camera since the metrics before.")
    latency_ms: dict[Slug, Percentiles] = Field(description="Latency of each stage, as in results.")
    capture: CaptureMetrics
    spool: SpoolMetrics
    machine: MachineMetrics
    shadow: ShadowMetrics | None = Field(
        default=None, description="A candidate that judges beside the model in use; null if there is none."
    )
