"""The cells that look most like blasts, cut out of the frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Explanation, Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels, frame_now
from edge_agent.contracts import Cell, Reason
from edge_agent.errors import ImageError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.field import Window
from edge_agent.vision.settings import QualityLimits
from edge_agent.web.cell_crops import CROP_PX, FOREMOST_COUNT, FramePart, cut_crops, foremost
from edge_agent.web.pictures import ReadingPicture, make_picture
from tests.slides import judged

Array = NDArray[np.uint8]


def cell(x_px: float = 50, y_px: float = 50, blast_ratio: float | None = 0.5, **changes: object) -> Cell:
    values = {
        "x_px": x_px,
        "y_px": y_px,
        "nucleus_area_px": 400.0,
        "nucleus_area_um2": None,
        "window_side_px": 40.0,
        "cut": False,
        "type": None if blast_ratio is None else "blast",
        "blast_ratio": blast_ratio,
    }
    return Cell.model_validate({**values, **changes})


def test_the_most_blast_like_come_first_and_those_without_a_probability_never() -> None:
    cells = [cell(blast_ratio=ratio) for ratio in (0.2, None, 0.9, 0.2, 0.0)]
    assert foremost(cells) == (2, 0, 3, 4)
    assert foremost([cell(blast_ratio=None, refusal=Reason.UNFAMILIAR)]) == ()


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=64))
def test_at_most_ten_are_foremost_and_nobody_else_is_more_blast_like(ratios: list[float | None]) -> None:
    chosen = foremost([cell(blast_ratio=ratio) for ratio in ratios])
    known = sorted((ratio for ratio in ratios if ratio is not None), reverse=True)
    assert [ratios[index] for index in chosen] == known[:FOREMOST_COUNT]


def quarters() -> Array:
    """Four squares of 20 px around (50, 60) in red, green, blue and white, on black."""
    rgb = np.zeros((100, 100, 3), np.uint8)
    rgb[40:60, 30:50], rgb[40:60, 50:70] = (255, 0, 0), (0, 255, 0)
    rgb[60:80, 30:50], rgb[60:80, 50:70] = (0, 0, 255), (255, 255, 255)
    return rgb


def corners(crop: Array) -> list[tuple[int, ...]]:
    """The colour of each quarter, by rows."""
    near, far = CROP_PX // 4, 3 * CROP_PX // 4
    return [tuple(int(each) for each in crop[y, x]) for y in (near, far) for x in (near, far)]


RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.mark.parametrize("reduction", [1, 2])
def test_a_crop_shows_the_square_around_the_cell(reduction: int) -> None:
    pixels = quarters()[::reduction, ::reduction]
    part = FramePart(np.ascontiguousarray(pixels), (1 / reduction, 1 / reduction))
    crops = cut_crops(part, [cell(50, 60), cell(50, 60)])
    assert crops.shape == (CROP_PX, 2 * CROP_PX, 3)
    assert corners(crops[:, :CROP_PX]) == corners(crops[:, CROP_PX:]) == [RED, GREEN, BLUE, WHITE]


def test_a_crop_of_a_part_is_where_the_cell_lies_in_the_frame() -> None:
    part = FramePart(np.ascontiguousarray(quarters()[20:, 10:]), top_px=20, left_px=10)
    assert corners(cut_crops(part, [cell(50, 60)])) == [RED, GREEN, BLUE, WHITE]


def test_a_crop_is_turned_as_the_picture_of_its_field_is() -> None:
    assert corners(cut_crops(FramePart(quarters()), [cell(50, 60)], turned=True)) == [BLUE, RED, WHITE, GREEN]


def test_without_a_scale_the_nucleus_says_how_much_is_shown() -> None:
    bare = cell(50, 60, window_side_px=None, width_px=20.0, height_px=20.0)
    assert corners(cut_crops(FramePart(quarters()), [bare])) == [RED, GREEN, BLUE, WHITE]


@given(
    x=st.floats(-300, 300), y=st.floats(-300, 300), side=st.floats(0.5, 500),
    height=st.integers(1, 90), width=st.integers(1, 90), turned=st.booleans(),
)  # fmt: skip
def test_a_crop_has_its_size_wherever_the_cell_is(
    x: float, y: float, side: float, height: int, width: int, *, turned: bool
) -> None:
    part = FramePart(np.zeros((height, width, 3), np.uint8))
    crops = cut_crops(part, [cell(x, y, window_side_px=side)], turned=turned)
    assert crops.shape == (CROP_PX, CROP_PX, 3)
    assert crops.dtype == np.uint8


def test_what_lies_beyond_the_frame_is_light() -> None:
    part = FramePart(np.zeros((100, 100, 3), np.uint8))
    left, inside = cut_crops(part, [cell(0, 50)])[CROP_PX // 2, [5, CROP_PX - 5]]
    assert (left.min() > 200, inside.max()) == (True, 0)


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(Classifier(load_bundle("demo")), QualityLimits())


def picture_of(reading: Reading, cells: tuple[Cell, ...]) -> ReadingPicture:
    result = ResultMaker("clinic-a", "scope-1", uuid7()).make(reading).model_copy(update={"cells": cells})
    found = make_picture(result, reading)
    assert found is not None
    return found


def decoded(data: bytes | None) -> Array:
    assert data is not None
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert found is not None
    return np.asarray(found, np.uint8)


def marked(height: int, width: int) -> Array:
    """A frame of one colour with a red square of 60 px around (200, 150)."""
    rgb = np.full((height, width, 3), 180, np.uint8)
    rgb[120:180, 170:230] = 230, 20, 20
    return rgb


@pytest.mark.parametrize("kind", ["rgb", "bgr", "png"])
@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 480), (1200, 1600)], ids=["wide", "high", "large"])
def test_a_reading_has_the_crops_of_its_cells_from_any_frame(kind: str, height: int, width: int) -> None:
    rgb = marked(height, width)
    bgr = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
    image: Pixels | Encoded
    match kind:
        case "rgb":
            image = Pixels(rgb, ColourOrder.RGB)
        case "bgr":
            image = Pixels(bgr, ColourOrder.BGR)
        case _:
            image = Encoded(cv2.imencode(".png", bgr)[1].tobytes())
    turned = height > width
    explanation = Explanation(
        field=np.zeros((224, 224, 3), np.uint8),
        nuclei_mask=np.zeros((224, 224), np.uint8),
        class_activation_map=None,
        window=Window(0, 0, height, width, turned=turned),
    )
    reading = replace(judged(None), frame=frame_now("camera0", image), explanation=explanation)
    cells = (cell(600 if not turned else 400, 300, 0.1), cell(200, 150, 0.9, window_side_px=120.0))
    found = picture_of(reading, cells)
    assert found.foremost == (1, 0)
    assert found.frame_size_px == (height, width)
    crops = decoded(found.crops)
    assert crops.shape == (CROP_PX, 2 * CROP_PX, 3)
    reds = np.argwhere((crops[..., 0] > 190) & (crops[..., 1] < 90))
    middle, half = CROP_PX / 2, CROP_PX / 4
    assert reds.min(axis=0) == pytest.approx([middle - half] * 2, abs=2)
    assert reds.max(axis=0) == pytest.approx([middle + half] * 2, abs=2)


def test_a_frame_that_cannot_be_decoded_again_has_crops_of_the_models_input() -> None:
    small = np.asarray(cv2.resize(marked(480, 640), (224, 224), interpolation=cv2.INTER_AREA), np.uint8)
    explanation = Explanation(small, np.zeros((224, 224), np.uint8), None, Window(0, 0, 480, 640))
    frame = frame_now("camera0", ImageError("it is gone."))
    crops = decoded(picture_of(replace(judged(None), frame=frame, explanation=explanation), (cell(200, 150),)).crops)
    assert crops[CROP_PX // 2, CROP_PX // 2].tolist() == pytest.approx([230, 20, 20], abs=25)


def test_a_field_without_probable_blasts_has_no_crops(analyzer: Analyzer) -> None:
    reading = analyzer.analyse(frame_now("camera0", Pixels(marked(480, 640), ColourOrder.RGB)))
    found = picture_of(reading, (cell(blast_ratio=None),))
    assert (found.crops, found.foremost) == (None, ())
