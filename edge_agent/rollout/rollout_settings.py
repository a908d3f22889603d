"""Section ``[rollout]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edge_agent.settings import Settings


class RolloutSettings(Settings):
    """How models that are asked for over MQTT are fetched, and what they have to show on this device."""

    ca_file: Path | None = Field(
        default=None, description="Trusted CA certificates (PEM) of the file server. Default: those of the system."
    )
    download_minutes: float = Field(default=120, gt=0, le=10080, description="Longest time of one attempt to download.")
    stall_s: float = Field(
        default=60, ge=1, le=3600, description="Time without data after which an attempt ends; the next one resumes."
    )
    retry_s: float = Field(
        default=30, ge=1, le=3600, description="Pause after the first attempt that failed; it doubles, up to an hour."
    )
    max_attempts_count: int = Field(
        default=20, ge=1, le=1000, description="After so many attempts that failed, a model is refused."
    )
    max_slowdown_ratio: float = Field(
        default=3, ge=1, le=100, description="A new model takes at most so many times as long per field as the old one."
    )
    fast_enough_ms: float = Field(
        default=200, ge=0, le=10000, description="One that takes no longer than this per field is never too slow."
    )
    min_agreement_ratio: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="Share of readings on which a model has to agree with the one in use, if it is judged in the "
        "shadow first.",
    )
