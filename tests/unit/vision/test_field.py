from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.vision.decode import decode_image
from edge_agent.vision.field import Window, choose_reduction, choose_window, cut, square_field


def test_without_a_scale_the_centre_square_is_taken() -> None:
    assert choose_window(960, 1280, size_px=224) == Window(0, 160, 960)


def test_with_both_scales_the_window_covers_the_training_images_micrometres() -> None:
    window = choose_window(960, 1280, size_px=224, um_per_pixel=0.1, model_um_per_pixel=0.35)
    assert window is not None
    assert window.side_px * 0.1 == pytest.approx(224 * 0.35, abs=0.1)
    assert window.top_px == (960 - window.side_px) // 2


@pytest.mark.parametrize(("camera", "model"), [(None, 0.35), (0.1, None)])
def test_one_scale_alone_changes_nothing(camera: float | None, model: float | None) -> None:
    window = choose_window(960, 1280, size_px=224, um_per_pixel=camera, model_um_per_pixel=model)
    assert window == Window(0, 160, 960)


def test_a_frame_that_shows_too_little_has_no_window() -> None:
    assert choose_window(960, 1280, size_px=224, um_per_pixel=0.05, model_um_per_pixel=0.35) is None
    assert choose_window(100, 120, size_px=224) is None
    assert choose_window(1, 1, size_px=224) is None
    with pytest.raises(ValueError, match="too small"):
        square_field(np.zeros((1, 1, 3), np.uint8))


@given(st.integers(112, 5000), st.integers(112, 5000))
def test_reduction_keeps_enough_pixels_and_wastes_less_than_half(height: int, width: int) -> None:
    window = choose_window(height, width, size_px=224)
    assert window is not None
    reduction = choose_reduction(window, 224)
    left = window.reduced(reduction).side_px
    assert left >= min(224, window.side_px)
    assert reduction == 8 or window.side_px // (2 * reduction) < 224


def test_a_reduced_jpeg_shows_the_same_field_as_the_whole_one(smear: NDArray[np.uint8]) -> None:
    large = cv2.resize(smear, (1280, 960), interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", large[:, :, ::-1])[1].tobytes()
    window = choose_window(960, 1280, size_px=224)
    assert window is not None
    reduction = choose_reduction(window, 224)
    assert reduction == 4
    reduced = cut(decode_image(data, reduction=reduction), window.reduced(reduction), 224)
    whole = cut(decode_image(data), window, 224)
    assert np.abs(reduced.astype(int) - whole).mean() < 2


def test_a_field_of_the_right_size_is_not_touched(smear: NDArray[np.uint8]) -> None:
    assert (square_field(smear) == smear).all()


@pytest.mark.parametrize("side", [281, 447, 448, 449, 961, 1232])
def test_nothing_aliases_when_a_frame_is_scaled_down(side: int) -> None:
    """Lines of one pixel must become grey, not wider lines."""
    lines = np.zeros((side, side, 3), np.uint8)
    lines[:, ::2] = 255
    field = cv2.blur(square_field(lines), (9, 9))
    assert abs(field.astype(float) - 127.5).max() < 20


@pytest.mark.parametrize("side", [300, 448, 700, 960, 1501])
def test_scaling_down_is_area_averaging_but_for_a_little(side: int, smear: NDArray[np.uint8]) -> None:
    large = np.asarray(cv2.resize(smear, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    averaged = cv2.resize(large, (224, 224), interpolation=cv2.INTER_AREA)
    assert np.abs(square_field(large).astype(int) - averaged).mean() < 2
