"""Section ``[pace]``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from edge_agent.settings import Settings


class PaceSettings(Settings):
    """When the agent reads less often, so that a hot or weak computer goes on reading at all."""

    ordered: ClassVar = (("cool_c", "hot_c"),)

    enabled: bool = Field(
        default=True, description="Whether the agent may read less often than [trigger] says, and returns by itself."
    )
    hot_c: float = Field(
        default=80.0,
        ge=30,
        le=120,
        description="Temperature of the processor from which the agent slows down. A Raspberry Pi does so itself then.",
    )
    cool_c: float = Field(
        default=75.0, ge=20, le=120, description="Temperature below which the agent begins to return to full rate."
    )
    max_pause_s: float = Field(
        default=8.0, ge=0.5, le=600, description="Longest time between two readings, reached after a few steps."
    )
    slow_down_s: float = Field(default=10.0, ge=0, le=600, description="Time between two steps towards slower reading.")
    recover_s: float = Field(
        default=30.0, ge=0, le=3600, description="How long all must be well before each step back towards full rate."
    )
