"""The scale of a frame: as configured, measured by its red cells, or unknown."""

from __future__ import annotations

from edge_agent.contracts import Scale, ScaleSource
from edge_agent.vision.red_cells import DIAMETER_RANGE_UM, DIAMETER_UM, RedCells


def describe_scale(red_cells: RedCells, frame_px_per_px: float, configured_um_per_pixel: float | None) -> Scale:
    """Describe the size of a frame's pixels as far as it is known.

    ``red_cells`` are those of the view. A pixel of the view is ``frame_px_per_px`` pixels of the frame high. The
    configured scale is that of the frame. If there is one it is used, since it may come from a micrometer.
    """
    estimate = low = high = diameter_px = None
    if red_cells.diameter_px is not None and red_cells.low_px is not None and red_cells.high_px is not None:
        diameter_px = red_cells.diameter_px * frame_px_per_px
        estimate = DIAMETER_UM / diameter_px
        # The widest interval from both uncertainties: that of the pixels, and that of red cells between people.
        low = DIAMETER_RANGE_UM[0] / (red_cells.high_px * frame_px_per_px)
        high = DIAMETER_RANGE_UM[1] / (red_cells.low_px * frame_px_per_px)
    disagrees = None
    if configured_um_per_pixel is not None and low is not None and high is not None:
        disagrees = not low <= configured_um_per_pixel <= high
    source = ScaleSource.UNKNOWN
    if configured_um_per_pixel is not None:
        source = ScaleSource.CONFIGURED
    elif estimate is not None:
        source = ScaleSource.ESTIMATED
    return Scale(
        source=source,
        um_per_pixel=_rounded(estimate) if configured_um_per_pixel is None else configured_um_per_pixel,
        estimated_um_per_pixel=_rounded(estimate),
        estimated_um_per_pixel_low=_rounded(low),
        estimated_um_per_pixel_high=_rounded(high),
        red_cells_count=red_cells.count,
        red_cell_diameter_px=_rounded(diameter_px),
        disagrees=disagrees,
    )


def _rounded(value: float | None) -> float | None:
    """Round to four digits: messages do not carry digits without meaning."""
    return None if value is None else float(f"{value:.4g}")
