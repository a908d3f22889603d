"""What a calibration found: in the answer to ``calibrate``, and kept in the state folder."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from edge_agent.contracts.base import Contract, UtcTime

MAX_CALIBRATION_FRAMES = 20


class CalibrationMethod(StrEnum):
    """What lies under the microscope."""

    SMEAR = "smear"
    """A thin smear, whose red cells are the ruler."""
    MICROMETER = "micrometer"
    """A stage micrometer."""


class Verdict(StrEnum):
    """What becomes of a finding."""

    OK = "ok"
    ADJUST = "adjust"
    UNCLEAR = "unclear"
    """It could not be measured."""


class CalibrationCheck(Contract):
    """One finding."""

    name: Literal["scale", "exposure", "white_balance", "evenness"]
    verdict: Verdict
    finding: str
    next_step: str = Field(description="What to change; empty if there is nothing to do.")


class MeasuredScale(Contract):
    """Size of a pixel of the captured frame in the specimen."""

    um_per_pixel: float = Field(gt=0)
    um_per_pixel_low: float = Field(gt=0)
    um_per_pixel_high: float = Field(gt=0)
    frames_count: int = Field(ge=1, description="Frames that it was measured in.")
    marks_count: int = Field(ge=1, description="Lines of the micrometer, or red cells, in these frames.")


class MeasuredLight(Contract):
    """The background of the frames: medians over the frames. Levels are shares of the largest level."""

    frames_count: int = Field(ge=1, description="Frames with enough background.")
    background_pct: float
    red_pct: float
    green_pct: float
    blue_pct: float
    clipped_pct: float = Field(description="Share of the brightest background in which a channel is at its end.")
    colour_cast_delta_e: float = Field(description="Distance of the background from grey in CIE LAB (a*, b*).")
    red_gain_change_pct: float | None = Field(
        description="By how much to change the camera's red gain to make the background grey; null if it is too dark "
        "or clipped."
    )
    blue_gain_change_pct: float | None
    falloff_pct: float = Field(description="How much darker the darkest corner is than the brightest part.")


class Calibration(Contract):
    """Scale and light of a camera's frames."""

    schema_: Literal["leukoscope/calibration/v1"] = Field(default="leukoscope/calibration/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    at: UtcTime
    method: CalibrationMethod
    frame_width_px: int
    frame_height_px: int
    frames_count: int = Field(ge=1, description="Frames that could be read.")
    frames_skipped_count: int = Field(ge=0, description="Frames that could not be read, or differ in size.")
    scale: MeasuredScale | None = Field(description="Null if it could not be measured; the check 'scale' says why.")
    light: MeasuredLight | None
    checks: tuple[CalibrationCheck, ...]

    @property
    def setting(self) -> str | None:
        """The line for section ``[camera]`` of ``agent.toml``."""
        return None if self.scale is None else f"um_per_pixel = {self.scale.um_per_pixel!r}"
