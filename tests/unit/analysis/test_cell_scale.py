"""The scale of a run of images of single cells."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.analysis.cell_scale import (
    MAX_MIRRORED_RATIO,
    SIDE_RANGE_UM,
    USUAL_SCALE,
    CellScale,
    CellScaleSource,
    configured_scale,
    measure_scale,
    spread,
    unfit_for_window,
)
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels
from edge_agent.contracts import Reason

Array = NDArray[np.uint8]
RED_CELLS = ((25, 25), (80, 22), (135, 28), (26, 132), (80, 138), (134, 134), (22, 80), (138, 80))
"""x and y of the red cells of an image of 160 px."""


def cell(side_px: int = 160, *, nucleus_ratio: float = 0.3, red_px: int = 0, reds: int = len(RED_CELLS)) -> Array:
    """A nucleus of a given diameter, with ``reds`` red cells of a diameter in pixels of 160 around it."""
    factor = side_px / 160
    drawn = np.full((side_px, side_px, 3), (235, 228, 233), np.uint8)
    for x, y in RED_CELLS[: reds if red_px else 0]:
        centre = round(x * factor), round(y * factor)
        cv2.circle(drawn, centre, round(red_px * factor / 2), (210, 150, 140), -1, cv2.LINE_AA)
    radius = round(nucleus_ratio * side_px / 2)
    cv2.circle(drawn, (side_px // 2, side_px // 2), radius, (92, 55, 130), -1, cv2.LINE_AA)
    return drawn


def pixels(rgb: Array) -> Pixels:
    return Pixels(rgb, ColourOrder.RGB)


def side_um(scale: CellScale, side_px: int = 160) -> float:
    return scale.um_per_pixel_of(side_px, 2 * side_px) * side_px


@pytest.mark.parametrize("side_px", [160, 400, 700])
def test_red_cells_that_lie_alone_are_a_ruler(side_px: int) -> None:
    scale = measure_scale(pixels(cell(side_px, red_px=32)) for _ in range(5))
    assert (scale.source, scale.measured_count) == (CellScaleSource.RED_CELLS, 5)
    assert scale.um_per_pixel == pytest.approx(7.5 / (32 * side_px / 160), rel=0.06)


def test_the_colour_order_and_the_file_make_no_difference() -> None:
    rgb = cell(red_px=32)
    png = Encoded(cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes())
    bgr = Pixels(np.ascontiguousarray(rgb[..., ::-1]), ColourOrder.BGR)
    assert measure_scale([png] * 5) == measure_scale([bgr] * 5) == measure_scale([pixels(rgb)] * 5)
    # With red and blue exchanged, this would be a nucleus.
    pink = np.full((160, 160, 3), (235, 228, 233), np.uint8)
    cv2.circle(pink, (80, 80), 28, (130, 55, 92), -1, cv2.LINE_AA)
    assert measure_scale([Pixels(np.ascontiguousarray(pink[..., ::-1]), ColourOrder.BGR)]) == USUAL_SCALE


def test_few_red_cells_and_nuclei_are_averaged() -> None:
    """Where fewer than five red cells lie alone in an image they are a guess only."""
    scale = measure_scale(pixels(cell(red_px=24, reds=4, nucleus_ratio=0.25)) for _ in range(5))
    by_nuclei = measure_scale(pixels(cell(nucleus_ratio=0.25)) for _ in range(5))
    assert scale.source is CellScaleSource.RED_CELLS_AND_NUCLEI
    by_red_cells = 7.5 / 24 * 160
    assert side_um(scale) == pytest.approx(math.sqrt(by_red_cells * side_um(by_nuclei)), rel=0.07)


@pytest.mark.parametrize("images", [4, 3])
def test_fewer_images_with_red_cells_are_no_ruler(images: int) -> None:
    scale = measure_scale(pixels(cell(red_px=32)) for _ in range(images))
    assert scale.source is CellScaleSource.NUCLEI


def test_images_of_different_sizes_have_no_common_ruler() -> None:
    scale = measure_scale(pixels(cell(side_px, red_px=32)) for side_px in (160, 160, 160, 160, 160, 200))
    assert scale.source is CellScaleSource.NUCLEI
    assert side_um(scale, 160) == side_um(scale, 200)


@pytest.mark.parametrize("ratio", [0.25, 0.33, 0.45])
def test_a_nucleus_says_half_of_what_there_is_to_say(ratio: float) -> None:
    scale = measure_scale([pixels(cell(nucleus_ratio=ratio))])
    assert scale.source is CellScaleSource.NUCLEI
    assert side_um(scale) == pytest.approx(math.sqrt(32 * 10.5 / ratio), rel=0.04)


def test_a_cell_on_black_counts_as_its_nucleus() -> None:
    black = np.zeros((224, 224, 3), np.uint8)
    cv2.circle(black, (112, 112), 50, (110, 60, 115), -1)
    assert side_um(measure_scale([pixels(black)])) == pytest.approx(math.sqrt(32 * 10.5 / (100 / 224)), rel=0.03)


@pytest.mark.parametrize("ratio", [0.06, 0.95])
def test_a_guess_stays_within_what_images_of_cells_show(ratio: float) -> None:
    black = np.zeros((224, 224, 3), np.uint8)
    cv2.circle(black, (112, 112), round(112 * ratio), (110, 60, 115), -1)
    assert SIDE_RANGE_UM[0] <= side_um(measure_scale([pixels(black)])) <= SIDE_RANGE_UM[1]


def test_what_shows_nothing_or_cannot_be_read_says_nothing() -> None:
    bad: list[Encoded | Pixels] = [Encoded(b""), Encoded(b"no picture"), pixels(np.zeros((1, 1, 3), np.uint8))]
    blank = pixels(np.full((160, 160, 3), 230, np.uint8))
    assert measure_scale([*bad, blank]) == USUAL_SCALE
    assert measure_scale([]) == USUAL_SCALE
    good: list[Encoded | Pixels] = [pixels(cell(red_px=32))] * 5
    assert measure_scale([*bad[:2], *good]) == measure_scale(good)


def test_the_shorter_side_counts() -> None:
    assert USUAL_SCALE.um_per_pixel_of(320, 640) == USUAL_SCALE.um_per_pixel_of(640, 320) == 0.1
    assert configured_scale(0.2).um_per_pixel_of(320, 640) == 0.2


@given(st.lists(st.integers(), max_size=300, unique=True), st.integers(2, 64))
def test_a_sample_is_spread_from_the_first_to_the_last(items: list[int], count: int) -> None:
    found = spread(items, count)
    assert len(found) == min(count, len(items))
    assert found == [item for item in items if item in set(found)]
    assert found[:1] == items[:1]
    assert found[-1:] == items[-1:]


@pytest.mark.parametrize(
    ("window_px", "fits"), [(47, False), (48, True), (100, True), (150, True), (151, False)], ids=str
)
def test_a_window_is_neither_much_enlarged_nor_mostly_mirrored(window_px: float, *, fits: bool) -> None:
    assert MAX_MIRRORED_RATIO == 1.5
    assert unfit_for_window(300, 100, window_px, 96) == (None if fits else Reason.FIELD_TOO_SMALL)


def test_every_scale_has_its_sentence() -> None:
    for source in CellScaleSource:
        size = {"um_per_pixel": 0.1234} if source is CellScaleSource.CONFIGURED else {"side_um": 31.7}
        line = CellScale(source, measured_count=7, **size).describe()
        assert line.startswith(("Scale: 0.123 um per pixel", "Scale: each image shows 32 um"))
        assert ("--um-per-pixel" in line) == (source not in {CellScaleSource.CONFIGURED, CellScaleSource.RED_CELLS})
