from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear


def sharpness(image: np.ndarray) -> float:
    return float(np.diff(image.astype(np.float32), axis=1).var())


@pytest.mark.parametrize("label", SMEAR_LABELS)
def test_the_same_seed_draws_the_same_picture(label: str) -> None:
    first, truth = draw_smear(np.random.default_rng(7), label)
    second, truth_again = draw_smear(np.random.default_rng(7), label)
    other, _ = draw_smear(np.random.default_rng(8), label)
    assert np.array_equal(first, second)
    assert truth == truth_again
    assert not np.array_equal(first, other)


@given(
    seed=st.integers(0, 2**32),
    label=st.sampled_from(SMEAR_LABELS),
    height=st.integers(16, 200),
    width=st.integers(16, 200),
    um_per_pixel=st.floats(0.2, 2.0),
)
@settings(max_examples=40, deadline=None)
def test_any_size_and_scale_is_drawn_with_its_nuclei_inside(
    seed: int, label: str, height: int, width: int, um_per_pixel: float
) -> None:
    image, truth = draw_smear(np.random.default_rng(seed), label, size_px=(height, width), um_per_pixel=um_per_pixel)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert truth.label == label
    assert all(0 <= nucleus.x_px < width and 0 <= nucleus.y_px < height for nucleus in truth.nuclei)


@pytest.mark.parametrize("label", SMEAR_LABELS)
def test_nuclei_lie_where_the_truth_says(label: str) -> None:
    image, truth = draw_smear(np.random.default_rng(3), label, size_px=(448, 448))
    assert truth.nuclei
    # Every stain here transmits least green, and glass and red cells transmit more.
    background = np.median(image[..., 1])
    for nucleus in truth.nuclei:
        y, x = int(nucleus.y_px), int(nucleus.x_px)
        around = image[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        assert around[..., 1].mean() < 0.75 * background
        assert around[..., 1].mean() < around[..., 2].mean()


def test_cells_keep_their_physical_size() -> None:
    coarse = draw_smear(np.random.default_rng(1), "pre-b", size_px=(300, 300), um_per_pixel=0.8)[1]
    fine = draw_smear(np.random.default_rng(1), "pre-b", size_px=(600, 600), um_per_pixel=0.4)[1]
    coarse_um = np.mean([nucleus.radius_px for nucleus in coarse.nuclei]) * 0.8
    fine_um = np.mean([nucleus.radius_px for nucleus in fine.nuclei]) * 0.4
    assert coarse_um == pytest.approx(fine_um, rel=0.1)
    assert 6.0 <= fine_um <= 8.4


def test_a_larger_focus_sigma_blurs() -> None:
    sharp, _ = draw_smear(np.random.default_rng(2), "benign", focus_sigma_px=0.6, noise_sigma_levels=0)
    blurred, truth = draw_smear(np.random.default_rng(2), "benign", focus_sigma_px=6, noise_sigma_levels=0)
    assert sharpness(blurred) < 0.1 * sharpness(sharp)
    assert truth.focus_sigma_px == 6


def test_an_empty_field_is_bright_and_without_nuclei() -> None:
    image, truth = draw_smear(np.random.default_rng(2), "benign", empty=True)
    assert truth.nuclei == ()
    assert image.min() > 180


def test_the_scale_bar_is_burnt_into_the_bottom_right_corner_only() -> None:
    plain, _ = draw_smear(np.random.default_rng(5), "pro-b")
    barred, _ = draw_smear(np.random.default_rng(5), "pro-b", scale_bar=True)
    changed_y, changed_x = np.nonzero((plain != barred).any(axis=2))
    assert changed_y.min() > 0.9 * plain.shape[0]
    assert changed_x.min() > 0.8 * plain.shape[1]
    assert (barred == 0).all(axis=2).any()


def test_another_stain_shows_the_same_cells_in_other_colours() -> None:
    usual, truth = draw_smear(np.random.default_rng(5), "pro-b")
    blue, same = draw_smear(np.random.default_rng(5), "pro-b", stain="blue")
    assert truth == same
    dark = usual.mean(axis=2) < usual.mean() - 20
    assert blue[dark][:, 0].mean() < usual[dark][:, 0].mean() - 10, "less red light passes"
    assert blue[dark][:, 2].mean() > usual[dark][:, 2].mean() + 10, "more blue light passes"
    with pytest.raises(ValueError, match="no such stain: 'green'"):
        draw_smear(np.random.default_rng(0), "pro-b", stain="green")


def test_an_unknown_label_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no such smear: 'mature-b'"):
        draw_smear(np.random.default_rng(0), "mature-b")
