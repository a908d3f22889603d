"""The cells that look most like blasts, side by side."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.analysis.reading import CutCell, Explanation, Reading
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.contracts import Cell, Reason
from edge_agent.vision.field import Window
from edge_agent.web.cell_crops import CROP_PX, FOREMOST_COUNT, foremost, side_by_side
from edge_agent.web.pictures import ReadingPicture, make_picture
from tests.slides import judged, result_of

Array = NDArray[np.uint8]


def cell(blast_ratio: float | None, **changes: object) -> Cell:
    values = {
        "x_px": 50.0,
        "y_px": 50.0,
        "nucleus_area_px": 400.0,
        "nucleus_area_um2": None,
        "window_side_px": 40.0,
        "cut": False,
        "type": None if blast_ratio is None else "blast",
        "blast_ratio": blast_ratio,
    }
    return Cell.model_validate({**values, **changes})


def test_the_most_blast_like_come_first_and_those_without_a_probability_never() -> None:
    cells = [cell(ratio) for ratio in (0.2, None, 0.9, 0.2, 0.0)]
    assert foremost(cells) == (2, 0, 3, 4)
    assert foremost([cell(None, refusal=Reason.UNFAMILIAR)]) == ()


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=64))
def test_at_most_ten_are_foremost_and_nobody_else_is_more_blast_like(ratios: list[float | None]) -> None:
    chosen = foremost([cell(ratio) for ratio in ratios])
    known = sorted((ratio for ratio in ratios if ratio is not None), reverse=True)
    assert [ratios[index] for index in chosen] == known[:FOREMOST_COUNT]


def quarters(side_px: int) -> Array:
    """A window whose quarters are red, green, blue and white."""
    half = side_px // 2
    colours = np.array([[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]], np.uint8)
    return np.repeat(np.repeat(colours, half, axis=0), half, axis=1)


def corners(crop: Array) -> list[tuple[int, ...]]:
    """The colour of each quarter, by rows."""
    near, far = CROP_PX // 4, 3 * CROP_PX // 4
    return [tuple(int(each) for each in crop[y, x]) for y in (near, far) for x in (near, far)]


RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.mark.parametrize("side_px", [64, 96, 160])
def test_windows_of_any_size_stand_side_by_side_as_they_were_seen(side_px: int) -> None:
    found = side_by_side([quarters(side_px), np.zeros((side_px, side_px, 3), np.uint8)])
    assert found.shape == (CROP_PX, 2 * CROP_PX, 3)
    assert corners(found[:, :CROP_PX]) == [RED, GREEN, BLUE, WHITE]
    assert not found[:, CROP_PX:].any()


def test_they_are_turned_as_the_picture_of_their_field_is() -> None:
    assert corners(side_by_side([quarters(96)], turned=True)) == [BLUE, RED, WHITE, GREEN]


def picture_of(cells: tuple[Cell, ...], windows: tuple[CutCell, ...], *, turned: bool = False) -> ReadingPicture:
    height, width = (640, 480) if turned else (480, 640)
    explanation = Explanation(
        field=np.zeros((224, 224, 3), np.uint8),
        nuclei_mask=np.zeros((224, 224), np.uint8),
        class_activation_map=None,
        window=Window(0, 0, height, width, turned=turned),
        cell_windows=windows,
    )
    frame = frame_now("camera0", Pixels(np.zeros((height, width, 3), np.uint8), ColourOrder.RGB))
    reading: Reading = replace(judged(None), frame=frame, explanation=explanation, cells=cells)
    found = make_picture(result_of(reading), reading)
    assert found is not None
    return found


@pytest.mark.parametrize("turned", [False, True], ids=["upright", "turned"])
def test_a_picture_has_the_windows_of_the_most_blast_like_cells_in_their_order(*, turned: bool) -> None:
    grey = np.full((96, 96, 3), 128, np.uint8)
    cells = (cell(0.1), cell(None, refusal=Reason.CELL_CUT), cell(0.9), cell(None))
    found = picture_of(cells, (grey, Reason.CELL_CUT, quarters(96), None), turned=turned)
    assert found.foremost == (2, 0)
    assert found.frame_size_px == ((640, 480) if turned else (480, 640))
    assert found.crops is not None
    crops = np.asarray(cv2.imdecode(np.frombuffer(found.crops, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)
    assert crops.shape == (CROP_PX, 2 * CROP_PX, 3)
    first = BLUE if turned else RED
    assert crops[CROP_PX // 4, CROP_PX // 4].tolist() == pytest.approx(first, abs=30)
    assert crops[CROP_PX // 2, -CROP_PX // 2].tolist() == pytest.approx((128, 128, 128), abs=10)


@pytest.mark.parametrize(
    ("cells", "windows"),
    [
        ((cell(None, refusal=Reason.UNFAMILIAR),), (quarters(96),)),
        ((cell(0.9),), ()),
        ((cell(0.9),), (Reason.SCALE_UNKNOWN,)),
        ((), ()),
    ],
    ids=["refused", "no windows", "no window", "no cells"],
)
def test_where_nothing_can_be_shown_a_picture_has_no_crops(
    cells: tuple[Cell, ...], windows: tuple[CutCell, ...]
) -> None:
    found = picture_of(cells, windows)
    assert (found.crops, found.foremost) == (None, ())
