"""Section ``[quality]``."""

from __future__ import annotations

from pydantic import Field

from edge_agent.settings import Settings


class QualityLimits(Settings):
    """Section ``[quality]``: a field beyond these limits is ``rejected``.

    The defaults pass nearly all of the training data (docs/quality.md has the figures) and reject what is plainly
    unfit.
    """

    min_focus_score: float = Field(
        default=20.0, ge=0, description="Tenengrad on the nuclei; below this a field is blurred."
    )
    min_brightness_pct: float = Field(default=30.0, ge=0, le=100, description="Mean grey level.")
    max_brightness_pct: float = Field(
        default=98.0, ge=0, le=100, description="Mean grey level of a field without nuclei."
    )
    max_clipped_dark_pct: float = Field(default=20.0, ge=0, le=100, description="Black pixels.")
    max_clipped_bright_pct: float = Field(
        default=50.0, ge=0, le=100, description="White pixels of a field without nuclei."
    )
    max_clipped_nuclei_pct: float = Field(
        default=50.0, ge=0, le=100, description="Pixels of nuclei with at least two of three channels clipped."
    )
    max_colour_cast_delta_e: float = Field(
        default=25.0, ge=0, description="Distance of the background from grey in CIE LAB (a*, b*)."
    )
    min_colourfulness_delta_e: float = Field(
        default=4.0,
        ge=0,
        description="Spread of the colours in CIE LAB (a*, b*); below this an image is greyscale.",
    )
    min_coverage_pct: float = Field(
        default=0.3,
        ge=0,
        le=100,
        description="Share of the field covered by nuclei; below this a field has no nucleated cells, or is empty.",
    )
    min_foreground_pct: float = Field(
        default=5.0,
        ge=0,
        le=100,
        description="Share of a field without nuclei that is darker than the background; below this it is empty.",
    )
    max_motion_pct: float = Field(
        default=4.0, ge=0, le=100, description="Mean change of grey level against the frame before."
    )
