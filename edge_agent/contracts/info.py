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
    accelerator: str | None = Field(
        default=None,
        description="What runs the network of 'model' now: 'edge_tpu', or null for the processor. Each result says it "
        "of its own frame.",
    )
    schemas: tuple[str, ...] = Field(description="Ids of the message schemas this device speaks.")
