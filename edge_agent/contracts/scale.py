"""``scale`` of a result: how large a pixel is in the specimen, and how that is known."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from edge_agent.contracts.base import OpenContract

_Positive = Annotated[float, Field(gt=0)]


class ScaleSource(StrEnum):
    """How the scale is known."""

    CONFIGURED = "configured"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


class Scale(OpenContract):
    """How large a pixel of the frame is, and what the red cells of the field say about it."""

    source: ScaleSource = Field(
        description="'configured' by the camera's um_per_pixel, which is used even if the red cells disagree; "
        "'estimated' from the red cells of this field; or 'unknown'."
    )
    um_per_pixel: _Positive | None = Field(
        description="Height of a pixel of the frame in the specimen, as it is used for areas; null if unknown."
    )
    estimated_um_per_pixel: _Positive | None = Field(
        description="The same by the red cells, taken as 7.5 µm wide; null if too few could be measured."
    )
    estimated_um_per_pixel_low: _Positive | None = Field(
        description="In nine of ten fields of normal blood the scale is from this to the next figure."
    )
    estimated_um_per_pixel_high: _Positive | None
    red_cells_count: int = Field(ge=0, description="Red cells that lie alone and were measured.")
    red_cell_diameter_px: _Positive | None = Field(
        description="Their median diameter, in heights of a pixel of the frame; null if it cannot be trusted."
    )
    disagrees: bool | None = Field(
        description="Whether the configured scale is outside the red cells' interval; null unless there are both."
    )
