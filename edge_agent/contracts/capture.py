"""What a camera reports about how a frame was taken."""

from __future__ import annotations

from pydantic import Field

from edge_agent.contracts.base import OpenContract


class CaptureSettings(OpenContract):
    """The settings as the camera *reports* them, not as they were requested; null where it does not report one."""

    width_px: int | None = Field(default=None, ge=1, description="Width of the frame as captured.")
    height_px: int | None = Field(default=None, ge=1, description="Height of the frame as captured.")
    pixel_format: str | None = Field(default=None, description="Such as MJPG, YUYV, BGR888.")
    exposure_us: float | None = Field(default=None, ge=0, description="Exposure time.")
    analogue_gain_ratio: float | None = Field(default=None, ge=0, description="Sensor gain.")
    red_gain_ratio: float | None = Field(default=None, ge=0, description="White balance, red.")
    blue_gain_ratio: float | None = Field(default=None, ge=0, description="White balance, blue.")
    colour_temperature_k: float | None = Field(default=None, ge=0, description="White balance.")
    sensor_temperature_c: float | None = Field(default=None, description="Temperature of the sensor.")
    locked: bool | None = Field(
        default=None, description="Whether exposure and white balance are fixed rather than automatic."
    )
