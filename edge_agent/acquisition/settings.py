"""Section ``[trigger]``."""

from __future__ import annotations

import math
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
    interval_s: float = Field(default=2.0, ge=0, le=86400, description="Time between two readings in mode continuous.")
    rest_frames_count: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Number of consecutive frames without change after which the stage counts as at rest.",
    )
    rest_change_pct: float = Field(
        default=1.5,
        ge=0,
        le=100,
        description="Largest mean change of grey level between two frames of a stage at rest.",
    )
    new_field_change_pct: float = Field(
        default=4.0,
        ge=0,
        le=100,
        description="Smallest mean change against the last field read that makes a field a new one.",
    )

    @property
    def pace_interval_s(self) -> float:
        """Time between two readings that nobody requests, if nothing slows them down.

        0 if frames decide; infinite if there are none, so that nothing can slow them down.
        """
        match self.mode:
            case "continuous":
                return self.interval_s
            case "settled":
                return 0.0
            case "triggered":
                return math.inf
