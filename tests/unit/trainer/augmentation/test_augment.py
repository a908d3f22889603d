from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_agent.cameras.smear import draw_smear
from trainer.augmentation.augment import augment, turn
from trainer.augmentation.corners import draw_patch, draw_scale_bar
from trainer.augmentation.moderate_shift import shift_moderately
from trainer.augmentation.optics import CORNER_PX, Field


def test_a_variant_of_an_image_does_not_depend_on_its_corner() -> None:
    field = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    marked = field.copy()
    marked[-CORNER_PX[0] :, -CORNER_PX[1] :] = 255
    for seed in range(10):
        assert np.array_equal(augment(field, np.random.default_rng(seed)), augment(marked, np.random.default_rng(seed)))


@pytest.mark.parametrize("vary", [augment, shift_moderately])
def test_variants_differ_by_seed_alone_and_leave_the_original(
    vary: Callable[[Field, np.random.Generator], Field],
) -> None:
    field, _ = draw_smear(np.random.default_rng(0), "pre-b")
    before = field.copy()
    variants, again = ([vary(field, np.random.default_rng(seed)) for seed in range(6)] for _ in range(2))
    assert len({variant.tobytes() for variant in variants}) == 6
    assert all(variant.shape == field.shape and variant.dtype == np.uint8 for variant in variants)
    assert all(np.array_equal(one, other) for one, other in zip(variants, again, strict=True))
    assert np.array_equal(field, before)


def test_a_moderate_shift_stays_within_its_bounds() -> None:
    grey = np.full((224, 224, 3), 120, np.uint8)
    gains = np.array(
        [shift_moderately(grey, np.random.default_rng(seed)).mean(axis=(0, 1)) / 120 for seed in range(60)]
    )
    assert gains.min() > 0.8 * 0.9 - 0.02
    assert gains.max() < 1.2 * 1.1 + 0.02
    assert np.ptp(gains.mean(axis=1)) > 0.2
    assert (np.ptp(gains, axis=1) > 0.02).mean() > 0.8


def test_all_eight_orientations_occur_and_pixels_stay() -> None:
    field = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    turned = {turn(field, np.random.default_rng(seed)).tobytes() for seed in range(200)}
    assert len(turned) == 8
    assert all(sorted(one) == sorted(field.tobytes()) for one in turned)


@pytest.mark.parametrize("draw", [draw_scale_bar, draw_patch])
def test_what_is_drawn_stays_in_the_corners(draw: Callable[[Field, np.random.Generator], Field]) -> None:
    field = np.full((224, 224, 3), 128, np.uint8)
    corners = set()
    for seed in range(60):
        rows, columns = np.nonzero((draw(field, np.random.default_rng(seed)) != field).any(axis=2))
        corners.add((bool(rows.mean() > 112), bool(columns.mean() > 112)))
        assert np.ptp(rows) <= CORNER_PX[0] + 2
    assert len(corners) == 4


def test_patches_are_black_white_and_coloured() -> None:
    field = np.full((224, 224, 3), 128, np.uint8)
    drawn = [draw_patch(field, np.random.default_rng(seed)) for seed in range(40)]
    colours = {tuple(patch[(patch != field).any(axis=2)][0].tolist()) for patch in drawn}
    assert {(0, 0, 0), (255, 255, 255)} < colours
    assert len(colours) > 5
