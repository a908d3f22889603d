from __future__ import annotations

from dataclasses import replace

import pytest

from edge_agent.analysis.rejection import rejection_reason
from edge_agent.contracts import Reason
from edge_agent.vision.quality import FieldQuality
from edge_agent.vision.settings import QualityLimits

FIT = FieldQuality(
    focus_score=200.0,
    brightness_pct=80.0,
    clipped_dark_pct=0.0,
    clipped_bright_pct=0.0,
    clipped_nuclei_pct=0.0,
    colour_cast_delta_e=5.0,
    colourfulness_delta_e=15.0,
    foreground_pct=50.0,
)
WITHOUT_NUCLEI = replace(FIT, focus_score=None, clipped_nuclei_pct=None)
EMPTY = replace(WITHOUT_NUCLEI, foreground_pct=1.0, colourfulness_delta_e=0.5)


def reason(measured: FieldQuality, *, coverage_pct: float = 0.0, motion_pct: float | None = None) -> Reason | None:
    return rejection_reason(measured, coverage_pct, motion_pct, QualityLimits())


def test_a_field_with_nuclei_is_fit() -> None:
    assert reason(FIT, coverage_pct=5) is None


def test_red_cells_without_a_nucleus_are_not_an_empty_field() -> None:
    assert reason(WITHOUT_NUCLEI) is Reason.NO_NUCLEATED_CELLS


def test_a_nucleus_too_small_to_judge_counts_as_none() -> None:
    assert reason(FIT, coverage_pct=0.2) is Reason.NO_NUCLEATED_CELLS
    assert reason(FIT, coverage_pct=0.3) is None


def test_plain_background_is_an_empty_field() -> None:
    assert reason(EMPTY) is Reason.EMPTY_FIELD


@pytest.mark.parametrize(("share", "expected"), [(4.9, Reason.EMPTY_FIELD), (5.0, Reason.NO_NUCLEATED_CELLS)])
def test_the_foreground_decides_between_the_two(share: float, expected: Reason) -> None:
    assert reason(replace(WITHOUT_NUCLEI, foreground_pct=share)) is expected


def test_a_field_with_nuclei_is_never_empty() -> None:
    assert reason(replace(FIT, foreground_pct=0.0), coverage_pct=5) is None


def test_cells_without_colour_are_a_matter_of_the_camera_and_glass_without_colour_is_not() -> None:
    assert reason(replace(WITHOUT_NUCLEI, colourfulness_delta_e=0.5)) is Reason.NO_COLOUR
    assert reason(replace(FIT, colourfulness_delta_e=0.5, foreground_pct=0.0), coverage_pct=5) is Reason.NO_COLOUR
    assert reason(EMPTY) is Reason.EMPTY_FIELD


FAULTS: list[tuple[Reason, dict[str, float | None]]] = [
    (Reason.UNDER_EXPOSED, {"brightness_pct": 10.0}),
    (Reason.OVER_EXPOSED, {"clipped_bright_pct": 90.0, "clipped_nuclei_pct": None}),
    (Reason.NO_COLOUR, {"colourfulness_delta_e": 1.0}),
    (Reason.COLOUR_CAST, {"colour_cast_delta_e": 40.0}),
]
"""In the order in which they are reported; they come before motion and the content of the field."""


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_what_distorts_the_other_measures_is_reported_first(first: int) -> None:
    changes: dict[str, float | None] = {}
    for _, change in FAULTS[first:]:
        changes.update(change)
    # Every changed measure is a float; mypy cannot tell which of the names they are.
    field = replace(WITHOUT_NUCLEI, **changes)  # type: ignore[arg-type]  # any field
    assert reason(field, motion_pct=50.0) is FAULTS[first][0]


@pytest.mark.parametrize("field", [FIT, WITHOUT_NUCLEI, EMPTY])
def test_a_moving_field_is_not_called_empty(field: FieldQuality) -> None:
    assert reason(field, motion_pct=50.0) is Reason.MOVING


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"brightness_pct": 5.0}, Reason.UNDER_EXPOSED), ({"brightness_pct": 99.5}, Reason.OVER_EXPOSED)],
)
def test_a_black_or_white_picture_is_not_called_empty(change: dict[str, float], expected: Reason) -> None:
    assert reason(replace(EMPTY, **change)) is expected


def test_a_blurred_field_needs_nuclei_to_be_called_so() -> None:
    assert reason(replace(FIT, focus_score=3.0), coverage_pct=5) is Reason.BLURRED
