from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.vision.touching import MIN_RADIUS_RATIO, Contour, _separate_discs, _shares, outlines, separate

RED_CELL_PX = 20.0


def region(*discs: tuple[float, float, float], aspect: float = 1.0) -> Contour:
    """The outline of discs, each given as centre x, centre y, radius; narrower by ``aspect``."""
    mask = np.zeros((300, 300), np.uint8)
    for x, y, radius in discs:
        cv2.ellipse(mask, ((x / aspect, y), (2 * radius / aspect, 2 * radius), 0), 255, -1)
    (outline,) = outlines(mask)
    return outline


def areas(parts: list[Contour], aspect: float = 1.0) -> list[float]:
    masks = [np.zeros((300, 300), np.uint8) for _ in parts]
    for mask, part in zip(masks, parts, strict=True):
        cv2.drawContours(mask, [part], 0, 255, -1)
    return sorted(aspect * cv2.countNonZero(mask) for mask in masks)


@given(
    radius=st.floats(12, 30),
    share=st.floats(0.75, 1.0),
    neck=st.floats(0.2, 0.5),
    angle=st.floats(0, np.pi),
    aspect=st.sampled_from([1.0, 4 / 3]),
)
def test_two_discs_that_touch_are_two_nuclei(
    radius: float, share: float, neck: float, angle: float, aspect: float
) -> None:
    other = max(12.0, radius * share)
    half = neck * other
    apart = np.sqrt(radius**2 - half**2) + np.sqrt(other**2 - half**2)
    discs = (
        (150.0, 150.0, radius),
        (150 + float(apart * np.cos(angle)), 150 + float(apart * np.sin(angle)), other),
    )
    parts = separate(region(*discs, aspect=aspect), aspect, RED_CELL_PX)
    assert len(parts) == 2
    assert areas(parts, aspect) == pytest.approx(sorted([np.pi * other**2, np.pi * radius**2]), rel=0.15)


@given(
    radius=st.floats(8, 40),
    longer=st.floats(1, 1.5),
    angle=st.floats(0, 180),
    aspect=st.sampled_from([1.0, 4 / 3]),
)
def test_an_ellipse_is_one_nucleus(radius: float, longer: float, angle: float, aspect: float) -> None:
    mask = np.zeros((300, 300), np.uint8)
    cv2.ellipse(mask, ((150 / aspect, 150), (2 * radius * longer / aspect, 2 * radius), angle * (aspect == 1)), 255, -1)
    assert len(separate(outlines(mask)[0], aspect, RED_CELL_PX)) == 1


def test_lobes_that_are_smaller_than_a_red_cell_stay_together() -> None:
    assert len(separate(region((150, 150, 8), (163, 150, 8)), 1.0, RED_CELL_PX)) == 1


def test_a_bent_nucleus_is_one() -> None:
    mask = np.zeros((300, 300), np.uint8)
    cv2.ellipse(mask, (150, 150), (22, 22), 0, 0, 200, 255, 20)
    assert len(separate(outlines(mask)[0], 1.0, RED_CELL_PX)) == 1


def test_three_in_a_row_are_three() -> None:
    parts = separate(region((100, 150, 16), (129, 150, 16), (158, 150, 16)), 1.0, RED_CELL_PX)
    assert len(parts) == 3


def test_the_parts_cover_the_region() -> None:
    whole = region((150, 150, 20), (184, 150, 18))
    assert sum(areas(separate(whole, 1.0, RED_CELL_PX))) == pytest.approx(sum(areas([whole])), rel=0.05)


def blank(shape: tuple[int, int]) -> NDArray[np.uint8]:
    return np.zeros(shape, np.uint8)


def test_nothing_has_no_outline() -> None:
    assert outlines(blank((20, 30))) == []


centres = st.tuples(st.integers(30, 90), st.integers(30, 90), st.integers(9, 20))


@given(st.lists(centres, min_size=1, max_size=5))
def test_each_pixel_belongs_to_the_disc_of_least_power(discs: list[tuple[int, int, int]]) -> None:
    mask = np.zeros((120, 120), np.uint8)
    for x, y, radius in discs:
        cv2.circle(mask, (x, y), radius, 255, -1)
    least = MIN_RADIUS_RATIO * RED_CELL_PX / 2
    distance = np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 5), np.float32)
    found = _separate_discs(distance, least)
    for across, down, inscribed_px in found:
        assert inscribed_px == distance[round(down) - 2 : round(down) + 3, round(across) - 2 : round(across) + 3].max()
    shares = _shares(mask, least)
    if shares is not None:
        rows, columns = np.mgrid[:120, :120]
        power = np.array([(columns - cx) ** 2 + (rows - cy) ** 2 - inscribed**2 for cx, cy, inscribed in found])
        assert np.array_equal(np.sum(np.array(shares) > 0, axis=0), np.ones_like(mask))
        owners = np.argmax(shares, axis=0)
        assert np.take_along_axis(power, owners[None], axis=0)[0] == pytest.approx(power.min(axis=0), abs=1e-6)
