from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.vision.cells import find_cells
from edge_agent.vision.colour import level_histogram, masked_mean, to_lab
from edge_agent.vision.quality import (
    FieldQuality,
    _tenengrad,
    change_pct,
    measure,
    thumbnail,
)

Array = NDArray[np.uint8]


def measured(array: NDArray[Any]) -> FieldQuality:
    picture = array.astype(np.uint8)
    return measure(picture, picture, find_cells(picture).segmentation.mask)


def scaled(picture: Array, factors: tuple[float, float, float]) -> Array:
    scaled_up: Array = np.clip(picture * np.array(factors), 0, 255).astype(np.uint8)
    return scaled_up


def test_focus_falls_as_blur_grows(smear: Array) -> None:
    scores = [
        measured(cv2.GaussianBlur(smear, (0, 0), sigma) if sigma else smear).focus_score for sigma in (0, 1, 2, 4)
    ]
    assert all(score is not None for score in scores)
    assert scores == sorted(scores, key=lambda score: -(score or 0))
    assert (scores[0] or 0) > 3 * (scores[3] or 0)


def test_focus_does_not_depend_on_the_direction(smear: Array) -> None:
    smeared = np.asarray(cv2.blur(smear, (9, 1)), np.uint8)
    across, along = measured(smeared).focus_score, measured(np.swapaxes(smeared, 0, 1).copy()).focus_score
    assert across == pytest.approx(along, rel=0.02)


def test_a_field_without_nuclei_has_no_focus() -> None:
    assert measured(np.full((224, 224, 3), 230, np.uint8)).focus_score is None


def test_brightness_and_clipping_are_in_percent() -> None:
    half = np.zeros((224, 224, 3), np.uint8)
    half[:112] = 255
    quality = measured(half)
    assert quality.brightness_pct == pytest.approx(50)
    assert quality.clipped_dark_pct == pytest.approx(50)
    assert quality.clipped_bright_pct == pytest.approx(50)


def test_one_channel_at_its_end_is_not_clipping() -> None:
    stained = np.full((224, 224, 3), (255, 120, 255), np.uint8)
    assert measured(stained).clipped_bright_pct == 0


def test_white_paper_between_cells_is_not_a_clipped_nucleus(smear: Array) -> None:
    nuclei = find_cells(smear).segmentation.mask > 0
    bright = smear.copy()
    bright[~nuclei] = 255
    assert (measured(bright).clipped_nuclei_pct or 0) < 5
    assert measured(bright).clipped_bright_pct > 50


def test_a_nucleus_that_has_lost_two_channels_is_clipped(smear: Array) -> None:
    nuclei = find_cells(smear).segmentation.mask > 0
    faded = smear.copy()
    faded[nuclei] = 255, 150, 255
    assert (measured(faded).clipped_nuclei_pct or 0) > 90
    faded[nuclei] = 140, 60, 255
    assert measured(faded).clipped_nuclei_pct == 0


def test_a_field_without_nuclei_has_no_clipped_ones() -> None:
    assert measured(np.full((224, 224, 3), 255, np.uint8)).clipped_nuclei_pct is None


def test_a_warm_lamp_shows_as_a_colour_cast(smear: Array) -> None:
    assert measured(scaled(smear, (1, 0.85, 0.6))).colour_cast_delta_e > measured(smear).colour_cast_delta_e + 10


def test_greyscale_has_no_colourfulness(smear: Array) -> None:
    grey = np.repeat(cv2.cvtColor(smear, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    assert measured(grey).colourfulness_delta_e < 1
    assert measured(smear).colourfulness_delta_e > 4


def test_change_is_nothing_for_the_same_frame_and_all_from_black_to_white(smear: Array) -> None:
    black, white = (np.full((50, 50, 3), level, np.uint8) for level in (0, 255))
    assert change_pct(thumbnail(smear), thumbnail(smear)) == 0
    assert change_pct(thumbnail(black), thumbnail(white)) == pytest.approx(100)


def test_a_moved_stage_changes_more_than_noise(smear: Array) -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(smear + rng.normal(0, 4, smear.shape), 0, 255).astype(np.uint8)
    moved = np.roll(smear, 40, axis=1)
    still = thumbnail(smear)
    assert change_pct(still, thumbnail(noisy)) < 1
    assert change_pct(still, thumbnail(moved)) > 3


@given(seed=st.integers(0, 2**32 - 1))
def test_the_fast_measures_are_the_plain_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    field = rng.choice(np.array([0, 100, 252, 253, 255], np.uint8), (40, 50, 3))
    mask = np.where(rng.random((40, 50)) < 0.3, 255, 0).astype(np.uint8)
    mask[0, 0] = 255
    fast = measure(field, field, mask)
    some = field[::4]
    nuclear = some[mask[::4] > 0]
    assert fast.clipped_nuclei_pct == pytest.approx(100 * np.mean((nuclear >= 253).sum(axis=1) >= 2))
    assert fast.clipped_dark_pct == pytest.approx(100 * np.mean((some <= 2).all(axis=2)))
    assert fast.clipped_bright_pct == pytest.approx(100 * np.mean((some >= 253).all(axis=2)))
    deviation = to_lab(np.ascontiguousarray(some))[:, :, 1:].reshape(-1, 2).std(axis=0)
    assert fast.colourfulness_delta_e == pytest.approx(np.hypot(*deviation))
    grey = field[:, :, 0].copy()
    assert masked_mean(grey, mask) == pytest.approx(grey[mask > 0].mean())
    assert masked_mean(grey, np.zeros_like(mask)) == 0
    gx, gy = cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1)
    near = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))) > 0
    assert _tenengrad(grey, mask) == pytest.approx((gx**2 + gy**2)[near].mean() / 64, rel=1e-5)
    assert (level_histogram(grey) == np.bincount(grey.ravel(), minlength=256)).all()
