"""The position of the cell in an image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge_agent.vision.cell_image import measure_cell_image
from edge_agent.vision.cell_windows import cut_cell

Array = NDArray[np.uint8]


def picture(height: int, width: int, *nuclei: tuple[int, int, int]) -> Array:
    """A picture with nuclei at x and y, with their radii."""
    drawn = np.full((height, width, 3), (232, 226, 234), np.uint8)
    for x, y, radius in nuclei:
        cv2.circle(drawn, (x, y), radius, (92, 55, 130), -1, cv2.LINE_AA)
    return drawn


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 30), st.integers(1, 30), st.floats(0.05, 50))
def test_any_image_gives_a_window(data: st.DataObject, height: int, width: int, um_per_pixel: float) -> None:
    rgb = data.draw(arrays(np.uint8, (height, width, 3)))
    found = cut_cell(rgb, um_per_pixel, 24.0, 96)
    assert found.window.shape == (96, 96, 3)
    assert found.window.dtype == np.uint8


@pytest.mark.parametrize(("height", "width"), [(160, 160), (400, 400), (300, 500), (640, 480)], ids=str)
def test_the_nucleus_in_the_middle_is_found_at_any_size(height: int, width: int) -> None:
    radius = min(height, width) // 7
    x, y = width // 2 + radius // 2, height // 2 - radius // 3
    drawn = picture(height, width, (x, y, radius), (width // 2 - 3 * radius, height // 2 + 2 * radius, radius // 2))
    nucleus = measure_cell_image(drawn).nucleus
    assert nucleus is not None
    assert nucleus.centre_px == pytest.approx((x, y), abs=min(height, width) / 50)
    assert nucleus.area_px == pytest.approx(np.pi * radius**2, rel=0.12)


def test_a_nucleus_near_the_edge_is_of_another_cell() -> None:
    assert measure_cell_image(picture(160, 160, (140, 140, 15))).nucleus is None
    assert measure_cell_image(picture(160, 160)).nucleus is None


def test_a_cell_on_black_counts_as_its_nucleus() -> None:
    drawn = np.zeros((224, 224, 3), np.uint8)
    cv2.circle(drawn, (100, 120), 60, (110, 60, 115), -1)
    found = measure_cell_image(drawn)
    assert found.nucleus is not None
    assert found.nucleus.centre_px == pytest.approx((100, 120), abs=3)
    assert found.nucleus.area_px == pytest.approx(np.pi * 60**2, rel=0.06)
    assert found.red_cell_guess_px is None


def test_beyond_the_edge_a_window_is_mirrored() -> None:
    drawn = picture(100, 100, (50, 50, 20))
    window = cut_cell(drawn, 0.2, 24.0, 120).window
    assert np.abs(window[10:110, 10:110].astype(int) - drawn).max() <= 2
    assert np.abs(window[:10].astype(int) - window[11:21][::-1]).max() <= 2
