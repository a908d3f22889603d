"""Section ``[trigger]``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_agent.settings import Settings


class TriggerSettings(Settings):
    """When a frame is worth a reading."""

    mode: Literal["continuous", "settled", "triggered"] = Field(
        default="continuous",
        description="continuous: every interval_s; settled: each new field once the stage rests; "
        "triggered: on signal SIGUSR1 or the command 'capture'.",
    )
    interval_s: float = Field(default=2.0, ge=0, le=86400, description="Between two readings in mode continuous.")
    rest_frames_count: int = Field(
        default=3, ge=1, le=100, description="Frames in a row that must hardly differ for the stage to be at rest."
    )
    rest_change_pct: float = Field(
        default=1.5, ge=0, le=100, description="Mean change of grey level that still counts as rest."
    )
    new_field_change_pct: float = Field(
        default=4.0, ge=0, le=100, description="Mean change against the field read last that makes a field new."
    )
