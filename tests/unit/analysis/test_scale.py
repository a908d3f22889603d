"""The scale in a reading: its source, its interval, and whether it is contradicted."""

from __future__ import annotations

import pytest

from edge_agent.analysis.scale import describe_scale
from edge_agent.contracts import ScaleSource
from edge_agent.vision.red_cells import RedCells

MEASURED = RedCells(count=12, diameter_px=25.0, low_px=20.0, high_px=30.0, guess_px=25.0)
UNTRUSTED = RedCells(count=3, guess_px=25.0)


def test_red_cells_give_the_scale_of_the_frame() -> None:
    scale = describe_scale(MEASURED, 2.0, None)
    assert scale.source is ScaleSource.ESTIMATED
    assert scale.um_per_pixel == scale.estimated_um_per_pixel == pytest.approx(7.5 / 50)
    assert scale.estimated_um_per_pixel_low == pytest.approx(7.2 / 60)
    assert scale.estimated_um_per_pixel_high == pytest.approx(7.8 / 40)
    assert (scale.red_cells_count, scale.red_cell_diameter_px, scale.disagrees) == (12, 50.0, None)


def test_a_guess_is_no_scale() -> None:
    scale = describe_scale(UNTRUSTED, 2.0, None)
    assert scale.source is ScaleSource.UNKNOWN
    assert (scale.um_per_pixel, scale.estimated_um_per_pixel, scale.red_cell_diameter_px) == (None, None, None)


def test_without_trusted_red_cells_nothing_contradicts_the_configuration() -> None:
    scale = describe_scale(UNTRUSTED, 2.0, 0.9)
    assert (scale.source, scale.um_per_pixel, scale.disagrees) == (ScaleSource.CONFIGURED, 0.9, None)


@pytest.mark.parametrize(
    ("configured", "disagrees"), [(0.1199, True), (0.1201, False), (0.15, False), (0.1949, False), (0.1951, True)]
)
def test_the_configured_scale_is_used_and_held_against_the_interval(configured: float, disagrees: bool) -> None:
    scale = describe_scale(MEASURED, 2.0, configured)
    assert (scale.source, scale.um_per_pixel) == (ScaleSource.CONFIGURED, configured)
    assert scale.estimated_um_per_pixel == pytest.approx(0.15)
    assert scale.disagrees is disagrees
