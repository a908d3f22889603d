"""``info``: versions, camera and model of a device, retained."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import OpenContract, UtcTime
from edge_agent.contracts.manifest import Slug
from edge_agent.contracts.model_identity import ModelIdentity


class Software(OpenContract):
    """Versions of the software."""

    leukoscope: str
    python: str
    opencv: str
    runtime: str


class Camera(OpenContract):
    """A camera as configured."""

    id: Slug
    kind: str


class SpeedTiming(OpenContract):
    """How long readings of a drawn field took when the agent started."""

    bundle: str
    threads_count: int
    p50_ms: float
    p95_ms: float
    readings_count: int = Field(description="Fewer than usual if the target was missed too often before.")


class Speed(OpenContract):
    """Why this bundle and this number of threads are used, where the configuration says 'auto'."""

    target_ms: float = Field(description="95 % of the readings are to take no longer.")
    holds: bool = Field(description="Whether what was chosen holds the target; if nothing does, it is the fastest.")
    chosen: SpeedTiming
    timings: tuple[SpeedTiming, ...] = Field(description="All that was timed, in the order of preference.")


class Info(OpenContract):
    """Versions, camera and model of the device."""

    schema_: Literal["leukoscope/info/v1"] = Field(default="leukoscope/info/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    demonstration: bool
    provisional: bool = Field(
        default=False,
        description="True if no record shows that the model is right often enough: it gives no label.",
    )
    site: Slug | None = Field(default=None, description="Null only in a message of release 0.2.0 or older.")
    device: Slug
    session: UUID
    started_at: UtcTime
    machine: str
    software: Software
    cameras: tuple[Camera, ...]
    model: ModelIdentity
    cells_model: ModelIdentity | None = Field(
        default=None, description="The cells bundle that types the cells beside 'model'; null if there is none."
    )
    speed: Speed | None = Field(
        default=None,
        description="How bundle and threads were chosen when the agent started; null if the configuration names them.",
    )
    accelerator: str | None = Field(
        default=None,
        description="What runs the network of 'model' now: 'edge_tpu', or null for the processor. Each result says it "
        "of its own frame.",
    )
    schemas: tuple[str, ...] = Field(description="Ids of the message schemas this device speaks.")
