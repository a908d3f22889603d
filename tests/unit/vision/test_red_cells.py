"""Red cells of known diameter are measured; a picture without red cells has no diameter."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER
from edge_agent.vision.red_cells import MIN_COUNT, RedCells, measure_red_cells
from edge_agent.vision.stain import measure_stain

Array = NDArray[np.uint8]

HEIGHT_PX, WIDTH_PX = 240, 320
BACKGROUND, RED, PALE, NUCLEUS = (235, 230, 225), (210, 150, 155), (225, 200, 200), (110, 60, 150)
_FINER = 4


def discs(
    diameter_px: float,
    count: int,
    *,
    colour: tuple[int, int, int] = RED,
    pallor_ratio: float = 0.0,
    noise_levels: float = 0.0,
    seed: int = 0,
) -> Array:
    """A uint8 RGB view with at most ``count`` separate discs, on a grid from the middle."""
    step = int(diameter_px + 4)
    places = [(x, y) for y in range(step, HEIGHT_PX - step, step) for x in range(step, WIDTH_PX - step, step)][:count]
    view = np.full((HEIGHT_PX * _FINER, WIDTH_PX * _FINER, 3), BACKGROUND, np.uint8)
    for x, y in places:
        centre = (x * _FINER, y * _FINER)
        cv2.circle(view, centre, round(_FINER * diameter_px / 2), colour, cv2.FILLED)
        if pallor_ratio:
            cv2.circle(view, centre, round(_FINER * pallor_ratio * diameter_px / 2), PALE, cv2.FILLED)
    small = cv2.resize(view, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(seed).normal(0, noise_levels, small.shape)
    return np.asarray(np.clip(small + noise, 0, 255), dtype=np.uint8)


def measured(view: Array, pixel_aspect: float = 1.0) -> RedCells:
    return measure_red_cells(measure_stain(SEGMENTATION_DENOISER(view)), pixel_aspect)


@given(
    diameter_px=st.floats(16, 40),
    count=st.integers(12, 24),
    pallor_ratio=st.sampled_from([0.0, 0.3, 0.5]),
    noise_levels=st.floats(0, 4),
    seed=st.integers(0, 9),
)
def test_the_diameter_of_discs_is_within_five_percent(
    diameter_px: float, count: int, pallor_ratio: float, noise_levels: float, seed: int
) -> None:
    view = discs(diameter_px, count, pallor_ratio=pallor_ratio, noise_levels=noise_levels, seed=seed)
    found = measured(view)
    assert found.diameter_px == pytest.approx(diameter_px, rel=0.05)
    assert found.low_px is not None
    assert found.high_px is not None
    assert found.low_px < diameter_px < found.high_px


def test_every_cell_that_lies_alone_is_counted() -> None:
    assert measured(discs(20, 17)).count == 17


def test_a_squeezed_view_is_measured_in_heights_of_a_pixel() -> None:
    squeezed = cv2.resize(discs(24, 20), (WIDTH_PX * 3 // 4, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    assert measured(np.asarray(squeezed, np.uint8), 4 / 3).diameter_px == pytest.approx(24, rel=0.05)


@pytest.mark.parametrize("diameter_px", [4, 6, 7])
def test_cells_that_are_too_small_are_not_measured(diameter_px: int) -> None:
    assert measured(discs(diameter_px, 200)).diameter_px is None


def test_a_few_cells_are_no_ruler() -> None:
    found = measured(discs(24, MIN_COUNT - 1))
    assert (found.count, found.diameter_px) == (MIN_COUNT - 1, None)


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_cells_that_the_border_cuts_are_not_measured(side: str) -> None:
    view = discs(24, 0)
    for at in range(20, HEIGHT_PX - 20, 40):
        centre = {"left": (9, at), "right": (WIDTH_PX - 10, at), "top": (at, 9), "bottom": (at, HEIGHT_PX - 10)}[side]
        cv2.circle(view, centre, 12, RED, cv2.FILLED)
    assert measured(view).count == 0


def test_the_edge_of_a_blurred_cell_is_where_half_is_absorbed() -> None:
    blurred = np.asarray(cv2.GaussianBlur(discs(24, 20), (0, 0), 1.8), np.uint8)
    assert measured(blurred).diameter_px == pytest.approx(24, rel=0.05)


def test_a_clump_as_wide_as_high_is_not_measured_as_one() -> None:
    view = discs(24, 0)
    for x in range(40, WIDTH_PX - 40, 60):
        for y in range(40, HEIGHT_PX - 40, 60):
            for centre in ((x - 9, y + 7), (x + 9, y + 7), (x, y - 9)):
                cv2.circle(view, centre, 10, RED, cv2.FILLED)
    assert measured(view).count == 0


def test_cells_that_overlap_are_not_measured_as_one() -> None:
    view = discs(24, 0)
    for x in range(30, WIDTH_PX - 40, 60):
        for y in range(30, HEIGHT_PX - 20, 40):
            cv2.circle(view, (x, y), 12, RED, cv2.FILLED)
            cv2.circle(view, (x + 16, y), 12, RED, cv2.FILLED)
    found = measured(view)
    assert (found.count, found.diameter_px) == (0, None)


def test_nuclei_are_not_red_cells() -> None:
    view = discs(20, 12)
    for x in (100, 200):
        cv2.circle(view, (x, 190), 22, NUCLEUS, cv2.FILLED)
    found = measured(view)
    assert found.count == 12
    assert found.diameter_px == pytest.approx(20, rel=0.05)
    assert measured(discs(24, 20, colour=NUCLEUS)).diameter_px is None


def test_discs_of_all_sizes_are_not_trusted() -> None:
    view = discs(24, 0)
    for at, diameter in enumerate((12, 14, 16, 18, 40, 44, 48, 50)):
        cv2.circle(view, (40 + 75 * (at % 4), 60 + 110 * (at // 4)), diameter // 2, RED, cv2.FILLED)
    found = measured(view)
    assert (found.count, found.diameter_px) == (8, None)


def _grey(view: Array) -> Array:
    return np.repeat(view.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(np.zeros((240, 320, 3), np.uint8), id="black"),
        pytest.param(np.full((240, 320, 3), 255, np.uint8), id="white"),
        pytest.param(np.full((240, 320, 3), (210, 150, 155), np.uint8), id="one colour"),
        pytest.param(np.full((1, 1, 3), 200, np.uint8), id="one pixel"),
        pytest.param(_grey(discs(24, 20)), id="grey cells"),
        pytest.param(discs(24, 30, noise_levels=150), id="drowned in noise"),
    ],
)
def test_there_is_no_diameter_where_there_are_no_red_cells(view: Array) -> None:
    assert measured(view).diameter_px is None


@given(seed=st.integers(0, 1000))
def test_noise_has_no_diameter(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    assert measured(noise).diameter_px is None
