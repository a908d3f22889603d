"""The distance of a micrometer's lines is right whatever their direction, and nothing else is taken for one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.calibration.micrometer import measure_divisions
from edge_agent.errors import ScaleUnreadable
from tests.unit.calibration.drawings import draw_ruler, finish


@settings(max_examples=40, deadline=None)
@given(
    period_px=st.floats(11, 60),
    angle_deg=st.floats(0, 180),
    blur_share=st.floats(0, 0.07),
    noise=st.floats(0, 10),
    unevenness=st.floats(0, 0.6),
    phase=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_the_distance_of_lines_is_right_within_one_percent(
    period_px: float, angle_deg: float, blur_share: float, noise: float, unevenness: float, phase: float, seed: int
) -> None:
    picture = draw_ruler(
        period_px,
        angle_deg,
        blur_px=0.3 + blur_share * period_px,
        noise=noise,
        unevenness=unevenness,
        phase=phase,
        seed=seed,
    )
    found = measure_divisions(picture)
    assert found.period_px == pytest.approx(period_px, rel=0.01)
    assert found.low_px < found.period_px < found.high_px
    assert abs((found.angle_deg - angle_deg + 90) % 180 - 90) < 1


def test_the_interval_holds_the_truth_in_nineteen_of_twenty_pictures() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(20):
        period_px = float(rng.uniform(11, 50))
        picture = draw_ruler(period_px, float(rng.uniform(0, 180)), noise=6, unevenness=0.4, seed=seed)
        found = measure_divisions(picture)
        held += found.low_px <= period_px <= found.high_px
    assert held >= 19


def test_a_picture_that_is_scaled_down_to_be_measured_gives_pixels_of_its_own() -> None:
    picture = draw_ruler(50, 30, size_px=(1500, 2000), blur_px=2)
    assert measure_divisions(picture).period_px == pytest.approx(50, rel=0.005)


def test_lines_too_narrow_for_the_scaled_down_picture_are_measured_at_its_centre() -> None:
    picture = draw_ruler(11, 80, size_px=(1500, 2400), blur_px=0.5)
    assert measure_divisions(picture).period_px == pytest.approx(11, rel=0.01)


def cells(size_px: tuple[int, int] = (480, 640)) -> NDArray[np.uint8]:
    drawn = np.full(size_px, 210, np.float32)
    rng = np.random.default_rng(5)
    for _ in range(120):
        centre = int(rng.integers(0, size_px[1])), int(rng.integers(0, size_px[0]))
        cv2.circle(drawn, centre, 22, 140, -1)
    return finish(drawn, 0.2, 4)


def grid() -> NDArray[np.uint8]:
    upright, across = draw_ruler(20, 0, noise=0), draw_ruler(20, 90, noise=0)
    return np.minimum(upright, across)


def unevenly_spaced() -> NDArray[np.uint8]:
    drawn = np.full((300, 400), 210, np.float32)
    for place in np.random.default_rng(2).integers(5, 395, 14).tolist():
        cv2.line(drawn, (place, 0), (place, 299), 60, 2)
    return finish(drawn, 0, 2)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.full((300, 400, 3), 200, np.uint8), "contrast"),
        (np.zeros((300, 400, 3), np.uint8), "contrast"),
        (np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8), "parallel lines"),
        (cells(), "parallel lines"),
        (grid(), "parallel lines"),
        (unevenly_spaced(), "equal distances|evenly spaced"),
        (draw_ruler(60, 10, only=3), "lines"),
        (draw_ruler(3, 20), "finer lines"),
        (draw_ruler(4.5, 0), "too close"),
        (np.zeros((5, 400, 3), np.uint8), "400 x 5 px"),
    ],
    ids=["one-colour", "black", "noise", "cells", "grid", "uneven", "three-lines", "unresolved", "too-narrow", "tiny"],
)
def test_what_is_no_micrometer_gets_a_reason_and_no_number(picture: NDArray[np.uint8], said: str) -> None:
    with pytest.raises(ScaleUnreadable, match=said) as raised:
        measure_divisions(picture)
    assert raised.value.remedy
