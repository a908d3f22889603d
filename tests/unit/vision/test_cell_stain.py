"""The preprocessing of cells: any window gives an image; the cell stays, its surroundings and its laboratory vanish."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge_agent.vision.cell_stain import (
    MAX_BLACK_LEVEL,
    MIN_BLACK_BORDER_RATIO,
    WHITE,
    is_cut_out,
    standardise_cell,
    standardise_cells,
)
from edge_agent.vision.preprocessing import preprocess, preprocess_windows

Array = NDArray[np.uint8]
SIDE = 96
BACKGROUND = (235, 226, 232)
NUCLEUS = (92, 55, 130)
CYTOPLASM = (190, 185, 222)
RED_CELL = (205, 150, 160)
OTHERS = ((12, 14), (85, 20), (80, 84), (12, 80))
"""x and y of red cells in the corners."""


def window(
    *, nucleus: tuple[int, int, int] = NUCLEUS, light: tuple[float, float, float] = (1, 1, 1), others: bool = True
) -> Array:
    """A lymphocyte with red cells around it."""
    picture = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
    for at in OTHERS if others else ():
        cv2.circle(picture, at, 14, RED_CELL, -1, cv2.LINE_AA)
    cv2.circle(picture, (48, 48), 24, CYTOPLASM, -1, cv2.LINE_AA)
    cv2.circle(picture, (48, 48), 18, nucleus, -1, cv2.LINE_AA)
    return np.asarray(np.clip(picture * np.array(light), 0, 255), np.uint8)


def density(levels: Array) -> NDArray[np.float64]:
    """Optical density in front of white."""
    return np.asarray(np.log((WHITE + 1) / (levels.astype(np.float64) + 1)))


sides = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(st.data(), sides, sides)
def test_any_window_gives_an_image_of_its_shape(data: st.DataObject, height: int, width: int) -> None:
    levels = data.draw(st.sampled_from([st.integers(0, 255), st.sampled_from([0, 255]), st.integers(0, 14)]))
    picture = data.draw(arrays(np.uint8, (height, width, 3), elements=levels))
    before = picture.copy()
    image = standardise_cell(picture)
    assert image.shape == picture.shape
    assert image.dtype == np.uint8
    assert image.max(initial=0) <= WHITE
    assert (picture == before).all()


@given(st.data(), st.integers(1, 12), st.integers(1, 12))
def test_only_what_is_black_along_its_border_was_cut_out(data: st.DataObject, height: int, width: int) -> None:
    picture = data.draw(arrays(np.uint8, (height, width, 3), elements=st.sampled_from([0, 0, 0, 0, 12, 13])))
    edges = np.concatenate((picture[0], picture[-1], picture[:, 0], picture[:, -1]))
    assert is_cut_out(picture) == ((edges <= MAX_BLACK_LEVEL).all(axis=1).mean() >= MIN_BLACK_BORDER_RATIO)


@pytest.mark.parametrize(("bright_px", "expected"), [(0, True), (11, True), (12, True), (13, False), (28, False)])
def test_a_tenth_of_the_border_may_be_bright_and_all_on_one_edge(bright_px: int, expected: bool) -> None:
    picture = np.zeros((30, 30, 3), np.uint8)
    picture[0, 1 : 1 + bright_px] = 200
    assert is_cut_out(picture) == expected


def test_the_soft_edge_is_gaussian_to_a_level(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = standardise_cell(window())
    blurred = []

    def blur(mask: Array, _depth: int, kernel: Array, _kernel: Array, *, borderType: int) -> Array:  # noqa: N803 - OpenCV's
        blurred.append(cv2.GaussianBlur(mask, (len(kernel), len(kernel)), 1.5, borderType=borderType))
        return np.asarray(blurred[-1], np.uint8)

    monkeypatch.setattr(cv2, "sepFilter2D", blur)
    slow = standardise_cell(window())
    assert len(blurred) == 1
    assert np.abs(fast.astype(int) - slow).max() <= 1


@pytest.mark.parametrize("level", [0, 12, 13, 60, 128, 235, 255])
def test_a_window_without_anything_in_it_is_white(level: int) -> None:
    assert (standardise_cell(np.full((SIDE, SIDE, 3), level, np.uint8)) == WHITE).all()


@pytest.mark.parametrize("level", [128, 160, 200], ids="grey {}".format)
def test_a_window_whose_nuclei_are_all_far_from_its_middle_is_white(level: int) -> None:
    picture = np.full((SIDE, SIDE, 3), level, np.uint8)
    cv2.circle(picture, (8, 8), 18, NUCLEUS, -1, cv2.LINE_AA)
    assert (standardise_cell(picture) == WHITE).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("side", [32, 96, 128, 224])
def test_noise_gives_an_image(seed: int, side: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert standardise_cell(noise).shape == noise.shape


def test_a_view_of_a_larger_array_is_as_good_as_a_copy() -> None:
    large = np.zeros((2 * SIDE, 2 * SIDE, 3), np.uint8)
    large[::2, ::2] = window()
    assert np.array_equal(standardise_cell(large[::2, ::2]), standardise_cell(window()))


def test_the_cell_stays_and_its_neighbours_go() -> None:
    image = standardise_cell(window())
    for x, y in OTHERS:
        assert (image[y, x] == WHITE).all()
    assert (image[46:51, 46:51] < 130).all()
    cytoplasm = image[48, 48 + 20]
    assert (cytoplasm < WHITE - 10).any()
    assert np.abs(image[48, 48 + 22].astype(int) - cytoplasm).max() <= 4
    assert density(image[48, 48]).sum() > 2 * density(cytoplasm).sum()
    alone = standardise_cell(window(others=False))
    assert np.abs(image.astype(int) - alone).mean() < 0.5


def test_a_nucleus_is_found_beside_one_that_touches_it() -> None:
    picture = window(others=False)
    cv2.circle(picture, (48 + 36, 48), 18, NUCLEUS, -1, cv2.LINE_AA)
    image = standardise_cell(picture)
    assert (image[46:51, 46:51] < 130).all()
    assert (image[48, 90:] == WHITE).all()


def test_lobes_are_one_nucleus() -> None:
    picture = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
    for at in ((38, 40), (58, 42), (48, 58)):
        cv2.circle(picture, at, 8, NUCLEUS, -1, cv2.LINE_AA)
    image = standardise_cell(picture)
    for x, y in ((38, 40), (58, 42), (48, 58)):
        assert (image[y, x] < 150).all()


@pytest.mark.parametrize("light", [(0.9, 0.9, 0.9), (0.7, 0.7, 0.7), (1.0, 0.9, 0.75), (0.8, 0.95, 1.05)], ids=str)
def test_the_colour_of_the_light_cancels_out(light: tuple[float, float, float]) -> None:
    difference = standardise_cell(window(light=light)).astype(int) - standardise_cell(window())
    assert np.abs(difference).mean() < 1
    assert np.percentile(np.abs(difference), 99) <= 6


def test_the_strength_of_a_stain_is_halved_but_not_lost() -> None:
    pale, dark = (160, 130, 185), (60, 26, 90)
    before = [density(window(nucleus=each)[48, 48]) for each in (pale, dark)]
    after = [density(standardise_cell(window(nucleus=each))[48, 48]) for each in (pale, dark)]
    assert (after[0] < after[1]).all()
    # By the square root of their difference.
    assert after[1] / after[0] == pytest.approx(np.sqrt(before[1] / before[0]), rel=0.12)


def cut_out(radius: int) -> Array:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    cv2.circle(picture, (48, 48), radius, (95, 50, 100), -1)
    return picture


def test_a_cell_that_was_cut_out_on_black_is_put_on_white() -> None:
    picture = cut_out(22)
    picture[5:8, 5:8] = 200
    image = standardise_cell(picture)
    assert (image[:20] == WHITE).all()
    assert (image[40:56, 40:56] < 150).all()
    # No dark rim: the image is white right beside the cell.
    assert (image[48, 48 + 23 :] == WHITE).all()


def test_many_windows_are_made_as_each_is_alone() -> None:
    noise = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    touching = window(others=False)
    cv2.circle(touching, (48 + 36, 48), 18, NUCLEUS, -1, cv2.LINE_AA)
    pale = window(nucleus=(160, 130, 185), light=(0.8, 0.95, 1.0))
    two_levels = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
    two_levels[34:62, 34:62] = NUCLEUS
    flat = np.full((SIDE, SIDE, 3), 200, np.uint8)
    # A nucleus of two clusters.
    half_pale = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
    cv2.circle(half_pale, (48, 48), 18, NUCLEUS, -1)
    cv2.ellipse(half_pale, (48, 48), (18, 18), 0, 0, 180, (120, 78, 150), -1)
    many = np.stack([window(), flat, cut_out(22), touching, noise, two_levels, pale, cut_out(0), half_pale])
    found = standardise_cells(many)
    for each, image in zip(many, found, strict=True):
        np.testing.assert_array_equal(image, standardise_cell(each))
    white = [bool((image == WHITE).all()) for image in found]
    assert white == [False, True, False, False, True, False, False, True, False]
    assert standardise_cells(many[:0]).shape == (0, SIDE, SIDE, 3)


@pytest.mark.parametrize("name", ["cell_stain@1", "rgb@1"])
def test_windows_of_a_field_are_preprocessed_as_each_is_alone(name: str) -> None:
    windows = [window(), cut_out(22), window(others=False)]
    for each, image in zip(windows, preprocess_windows(windows, name, "median3"), strict=True):
        np.testing.assert_array_equal(image, preprocess(each, name, "median3"))
    assert preprocess_windows([], name, "none") == []


def test_it_is_a_preprocessing_by_its_name() -> None:
    assert np.array_equal(preprocess(window(), "cell_stain@1", "none"), standardise_cell(window()))
    assert not np.array_equal(preprocess(window(), "cell_stain@1", "median5"), standardise_cell(window()))


def test_its_meaning_never_changes() -> None:
    """As it was released. A change gets another number behind the at sign."""
    image, black = standardise_cell(window()), standardise_cell(cut_out(22))
    assert np.abs(image[48, 48].astype(int) - (91, 62, 121)).max() <= 1
    assert np.abs(image[48, 68].astype(int) - (190, 195, 223)).max() <= 1
    assert image.mean() == pytest.approx(215.16, abs=0.2)
    assert np.abs(black[48, 48].astype(int) - (93, 59, 105)).max() <= 1
    assert np.abs(black[48, 69].astype(int) - (145, 123, 152)).max() <= 2
    assert black.mean() == pytest.approx(211.74, abs=0.2)
