"""Section ``[adaptation]``."""

from __future__ import annotations

from pydantic import Field

from edge_agent.settings import Settings


class AdaptationSettings(Settings):
    """Whether heads are fitted on the device itself, and what a fit may use."""

    enabled: bool = Field(
        default=True, description="Whether heads may be fitted on the device, from the page or by command."
    )
    min_images_count: int = Field(
        default=5, ge=2, le=1000, description="Labelled fields of a class from which it counts; two classes are needed."
    )
    max_memory_mib: int = Field(
        default=1024,
        ge=128,
        le=65_536,
        description="Memory of the process that fits, apart from the agent's own.",
    )
    deadline_minutes: float = Field(default=30, gt=0, le=1440, description="Longest time that a fit may take.")
