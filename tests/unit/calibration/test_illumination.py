"""The light is measured where nothing covers it, and only if that is enough of the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.calibration.illumination import measure_illumination
from edge_agent.errors import BackgroundMissing


def smear(
    background: tuple[int, int, int] = (200, 200, 200),
    *,
    unevenness: float = 0.0,
    count: int = 70,
    lit_from: tuple[float, float] = (0, 0),
) -> NDArray[np.uint8]:
    """uint8 RGB: pink cells on a background, darker by ``unevenness`` at a distance of half the diagonal."""
    height, width = 240, 320
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = background
    rng = np.random.default_rng(8)
    for _ in range(count):
        centre = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.circle(picture, centre, 10, [0.9 * background[0], 0.65 * background[1], 0.7 * background[2]], -1)
        cv2.circle(picture, centre, 3, [0.95 * background[0], 0.9 * background[1], 0.9 * background[2]], -1)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    fall = ((x - lit_from[0]) ** 2 + (y - lit_from[1]) ** 2) / 2
    picture *= (1 - unevenness * fall)[..., None]
    picture += rng.normal(0, 2, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


@settings(max_examples=25, deadline=None)
@given(
    red=st.integers(120, 245),
    green=st.integers(120, 245),
    blue=st.integers(120, 245),
    unevenness=st.floats(0, 0.5),
)
def test_colour_and_evenness_are_those_of_the_background_not_of_the_cells(
    red: int, green: int, blue: int, unevenness: float
) -> None:
    found = measure_illumination(smear((red, green, blue), unevenness=unevenness))
    assert found.red_pct / found.green_pct == pytest.approx(red / green, abs=0.03)
    assert found.blue_pct / found.green_pct == pytest.approx(blue / green, abs=0.03)
    assert found.falloff_pct == pytest.approx(100 * unevenness, abs=5)


def test_grey_is_grey_and_clipped_is_clipped() -> None:
    grey = measure_illumination(smear())
    assert abs(grey.a_star) < 1
    assert abs(grey.b_star) < 1
    assert grey.clipped_pct == 0
    assert grey.level_pct == pytest.approx(78, abs=1)
    assert measure_illumination(smear((255, 255, 240))).clipped_pct > 60


def test_an_empty_slide_is_all_background() -> None:
    assert measure_illumination(smear(count=0)).background_pct > 95


def test_light_from_one_side_is_told_by_where_it_is_brightest() -> None:
    centred = measure_illumination(smear(unevenness=0.3))
    aside = measure_illumination(smear(unevenness=0.15, lit_from=(-1, -1)))
    assert centred.centre_offset_pct < 20
    assert aside.centre_offset_pct > 80


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (smear(count=2500), "free of cells"),
        (np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8), "free of cells"),
        (np.zeros((5, 9, 3), np.uint8), "9 x 5 px"),
    ],
    ids=["packed", "noise", "tiny"],
)
def test_without_enough_background_there_is_a_reason_and_no_number(picture: NDArray[np.uint8], said: str) -> None:
    with pytest.raises(BackgroundMissing, match=said):
        measure_illumination(picture)


def test_background_in_one_corner_says_nothing_of_the_rest() -> None:
    picture = smear(count=2500)
    picture[:110, :140] = 200
    with pytest.raises(BackgroundMissing, match="part of the picture"):
        measure_illumination(picture)
