from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.vision.decode import decode_image
from edge_agent.vision.field import (
    MAX_VIEW_PX,
    Geometry,
    View,
    Window,
    choose_reduction,
    choose_window,
    cut_field,
    fit,
    take,
)

Array = NDArray[np.uint8]

SQUARE = Geometry(224)
SQUEEZED = Geometry(224, 4, 3)

GEOMETRIES = st.builds(Geometry, st.sampled_from([96, 224]), st.integers(1, 16), st.integers(1, 16))
SIDES = st.integers(1, 5000)


def window_of(height: int, width: int, geometry: Geometry) -> Window:
    window = choose_window(height, width, geometry)
    assert window is not None
    return window


def cut(array: Array, geometry: Geometry) -> tuple[Array, View]:
    window = window_of(array.shape[0], array.shape[1], geometry)
    return fit(take(array, window, geometry), window, geometry)


def test_a_bundle_of_centre_squares_gets_the_centre_square() -> None:
    assert choose_window(960, 1280, SQUARE) == Window(0, 160, 960, 960)


@pytest.mark.parametrize(
    ("height", "width", "window"),
    [
        (960, 1280, Window(0, 0, 960, 1280)),
        (1232, 1640, Window(0, 0, 1230, 1640)),
        (720, 1280, Window(0, 160, 720, 960)),
        (1000, 1000, Window(125, 0, 750, 1000)),
        (1280, 960, Window(0, 0, 1280, 960, turned=True)),
        (1280, 720, Window(160, 0, 960, 720, turned=True)),
    ],
)
def test_the_largest_window_of_the_training_pictures_aspect_is_taken(height: int, width: int, window: Window) -> None:
    found = window_of(height, width, SQUEEZED)
    if (height, width) == (1232, 1640):
        window = replace(window, top_px=1)
    assert found == window


@given(SIDES, SIDES, GEOMETRIES)
def test_a_window_is_inside_its_frame_in_the_middle_and_of_the_aspect(
    height: int, width: int, geometry: Geometry
) -> None:
    window = choose_window(height, width, geometry)
    if window is None or window.ready:
        return
    assert 0 <= window.top_px <= window.top_px + window.height_px <= height
    assert 0 <= window.left_px <= window.left_px + window.width_px <= width
    assert abs(2 * window.top_px + window.height_px - height) <= 1
    assert abs(2 * window.left_px + window.width_px - width) <= 1
    down, across = window.height_px, window.width_px
    if window.turned:
        down, across = across, down
    # One side is as long as the frame allows; the other is rounded to a pixel.
    assert abs(across - down * geometry.pixel_aspect) <= max(0.5, 0.5 * geometry.pixel_aspect) + 1e-9
    assert window.height_px == height or window.width_px == width
    assert min(down, across) * 2 >= geometry.size_px


@given(SIDES, SIDES, GEOMETRIES, st.none() | st.floats(0.05, 1.0))
def test_a_frame_turned_by_90_degrees_has_the_window_turned(
    height: int, width: int, geometry: Geometry, um_per_pixel: float | None
) -> None:
    scales = {"um_per_pixel": um_per_pixel, "model_um_per_pixel": 0.4}
    one = choose_window(height, width, geometry, **scales)
    other = choose_window(width, height, geometry, **scales)
    if one is None or other is None:
        assert one is other
        return
    if height == width or geometry.pixel_aspect == 1:
        return
    assert other == Window(one.left_px, one.top_px, one.width_px, one.height_px, not one.turned)


@given(st.integers(300, 5000), st.integers(300, 5000), st.floats(0.1, 0.6))
def test_with_both_scales_the_window_has_the_training_scale_in_both_directions(
    height: int, width: int, camera_um_per_pixel: float
) -> None:
    window = choose_window(height, width, SQUEEZED, um_per_pixel=camera_um_per_pixel, model_um_per_pixel=0.35)
    high_um, wide_um = 224 * 0.35, 224 * 0.35 * 4 / 3
    if window is None:
        shorter_um, longer_um = (side * camera_um_per_pixel for side in sorted((height, width)))
        too_small = shorter_um < high_um + camera_um_per_pixel or longer_um < wide_um + camera_um_per_pixel
        assert too_small or high_um / camera_um_per_pixel < 113
        return
    down, across = window.height_px, window.width_px
    if window.turned:
        down, across = across, down
    assert down * camera_um_per_pixel == pytest.approx(high_um, abs=camera_um_per_pixel)
    assert across * camera_um_per_pixel == pytest.approx(wide_um, abs=camera_um_per_pixel)


@pytest.mark.parametrize(("camera", "model"), [(None, 0.35), (0.1, None)])
def test_one_scale_alone_changes_nothing(camera: float | None, model: float | None) -> None:
    window = choose_window(960, 1280, SQUARE, um_per_pixel=camera, model_um_per_pixel=model)
    assert window == Window(0, 160, 960, 960)


@pytest.mark.parametrize(
    ("height", "width", "geometry", "enough"),
    [
        (112, 112, SQUARE, True),
        (111, 400, SQUARE, False),
        (112, 149, SQUEEZED, True),
        (149, 112, SQUEEZED, True),
        (112, 148, SQUEEZED, False),
        (111, 400, SQUEEZED, False),
        (1, 1, SQUEEZED, False),
    ],
)
def test_a_window_that_would_be_enlarged_more_than_twofold_is_too_small(
    height: int, width: int, geometry: Geometry, enough: bool
) -> None:
    assert (choose_window(height, width, geometry) is not None) is enough


def test_a_frame_that_shows_too_little_has_no_window() -> None:
    assert choose_window(960, 1280, SQUARE, um_per_pixel=0.05, model_um_per_pixel=0.35) is None
    # High enough at this scale, but not wide enough.
    assert choose_window(960, 1000, SQUEEZED, um_per_pixel=0.09, model_um_per_pixel=0.35) is None
    with pytest.raises(ValueError, match="too small"):
        cut_field(np.zeros((1, 1, 3), np.uint8), SQUARE)


@pytest.mark.parametrize("geometry", [SQUARE, SQUEEZED, Geometry(224, 4, 3, half_chroma=True)])
def test_an_image_of_the_inputs_size_is_its_own_field_and_view(smear: Array, geometry: Geometry) -> None:
    window = choose_window(224, 224, geometry, um_per_pixel=0.1, model_um_per_pixel=0.35)
    assert window is not None
    field, view = fit(take(smear, window, geometry), window, geometry)
    assert field is view.rgb is smear
    assert (view.pixel_aspect, view.frame_px_per_px) == (geometry.pixel_aspect, 1.0)


@given(st.integers(149, 5000), st.integers(149, 5000), st.sampled_from([SQUARE, SQUEEZED]))
def test_reduction_keeps_enough_pixels_and_wastes_less_than_half(height: int, width: int, geometry: Geometry) -> None:
    window = window_of(height, width, geometry)
    reduction = choose_reduction(window, geometry)
    shorter = min(window.height_px, window.width_px)
    reduced = window.reduced(reduction)
    assert min(reduced.height_px, reduced.width_px) >= min(224, shorter)
    assert reduction == 8 or shorter // (2 * reduction) < 224


@pytest.mark.parametrize("geometry", [SQUARE, SQUEEZED])
def test_a_reduced_jpeg_shows_the_same_field_as_the_whole_one(smear: Array, geometry: Geometry) -> None:
    large = cv2.resize(smear, (1280, 960), interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", large[:, :, ::-1])[1].tobytes()
    window = window_of(960, 1280, geometry)
    reduction = choose_reduction(window, geometry)
    assert reduction == 4
    reduced = take(decode_image(data, reduction=reduction), window, geometry, reduction=reduction)
    whole = take(decode_image(data), window, geometry)
    assert reduced.shape == whole.shape
    fields = [fit(pixels, window, geometry)[0].astype(int) for pixels in (reduced, whole)]
    assert np.abs(fields[0] - fields[1]).mean() < 2


def test_the_whole_window_is_scaled_in_each_direction_by_its_own_factor(smear: Array) -> None:
    """A drawn field that was stretched to 4:3 comes back."""
    large = np.asarray(cv2.resize(smear, (1280, 960), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    assert np.abs(cut_field(large, SQUEEZED).astype(int) - smear).mean() < 3
    assert np.abs(cut_field(large, SQUARE).astype(int) - smear).mean() > 15


def test_a_window_is_squeezed_by_linear_interpolation_as_the_training_images_were(smear: Array) -> None:
    """It is closer to them than averaging is, and takes a tenth of the time."""
    decoded = np.asarray(cv2.resize(smear, (512, 384), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    expected = cv2.resize(decoded, (224, 224), interpolation=cv2.INTER_LINEAR)
    assert (cut_field(decoded, SQUEEZED) == expected).all()


def test_a_portrait_frame_gives_the_field_of_the_frame_turned_by_90_degrees(smear: Array) -> None:
    landscape = np.asarray(cv2.resize(smear, (640, 480), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    portrait = np.ascontiguousarray(np.rot90(landscape))
    field, view = cut(landscape, SQUEEZED)
    turned, turned_view = cut(portrait, SQUEEZED)
    assert np.abs(turned.astype(int) - field).max() <= 1
    assert (turned_view.rgb == view.rgb).all()


def test_half_chroma_blurs_colour_and_keeps_brightness(smear: Array) -> None:
    large = np.asarray(cv2.resize(smear, (640, 480), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    full = cv2.cvtColor(cut_field(large, SQUEEZED), cv2.COLOR_RGB2YCrCb).astype(int)
    half = cv2.cvtColor(cut_field(large, Geometry(224, 4, 3, half_chroma=True)), cv2.COLOR_RGB2YCrCb).astype(int)
    # Colours at the edge of RGB's range are clipped, which changes their brightness.
    assert np.abs(half - full)[..., 0].mean() < 0.6
    roughness = [np.abs(np.diff(image[..., 1:], axis=1)).mean() for image in (full, half)]
    assert roughness[1] < 0.8 * roughness[0]


@given(st.integers(149, 1500), st.integers(149, 1500), st.sampled_from([SQUARE, SQUEEZED]))
def test_a_view_has_square_pixels_is_never_enlarged_and_bounded(height: int, width: int, geometry: Geometry) -> None:
    array = np.zeros((height, width, 3), np.uint8)
    field, view = cut(array, geometry)
    assert field.shape == (224, 224, 3)
    rows, columns = view.rgb.shape[:2]
    if view.window.ready:
        return
    assert rows * columns <= MAX_VIEW_PX
    assert view.frame_px_per_px >= 1
    down, across = view.window.height_px, view.window.width_px
    if view.window.turned:
        down, across = across, down
    assert columns / rows == pytest.approx(across / down, abs=2 / rows)
    # It is as large as allowed, except for the rounding at each halving.
    assert rows * columns >= min(0.97 * MAX_VIEW_PX, down * across, 224 * 224)


@pytest.mark.parametrize("shape", [(960, 1280), (1280, 960), (720, 1280), (600, 500)])
@pytest.mark.parametrize("geometry", [SQUARE, SQUEEZED])
def test_a_point_of_the_view_is_found_in_the_frame(shape: tuple[int, int], geometry: Geometry) -> None:
    y_px, x_px = int(0.4 * shape[0]), int(0.55 * shape[1])
    frame = np.zeros((*shape, 3), np.uint8)
    cv2.circle(frame, (x_px, y_px), 9, (255, 255, 255), -1)
    view = cut(frame, geometry)[1]
    moments = cv2.moments(view.rgb[..., 0])
    found = view.to_frame(moments["m01"] / moments["m00"] + 0.5, moments["m10"] / moments["m00"] + 0.5)
    assert found == pytest.approx((y_px + 0.5, x_px + 0.5), abs=1.5)
    area_px = moments["m00"] / 255 * view.frame_px_per_px**2
    assert area_px == pytest.approx(np.count_nonzero(frame[..., 0]), rel=0.05)


@pytest.mark.parametrize("side", [281, 447, 448, 449, 961, 1232])
def test_nothing_aliases_when_a_frame_is_scaled_down(side: int) -> None:
    """Lines of one pixel must become grey, not wider lines."""
    lines = np.zeros((side, side, 3), np.uint8)
    lines[:, ::2] = 255
    field = cv2.blur(cut_field(lines, SQUARE), (9, 9))
    assert abs(field.astype(float) - 127.5).max() < 20


@pytest.mark.parametrize("side", [300, 448, 700, 960, 1501])
def test_scaling_down_is_area_averaging_but_for_a_little(side: int, smear: Array) -> None:
    large = np.asarray(cv2.resize(smear, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    averaged = cv2.resize(large, (224, 224), interpolation=cv2.INTER_AREA)
    assert np.abs(cut_field(large, SQUARE).astype(int) - averaged).mean() < 2
