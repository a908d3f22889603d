from __future__ import annotations

import numpy as np

from edge_agent.cameras.smear import draw_smear
from trainer.augmentation import CORNER_PX, augment, cover_corner, draw_scale_bar, turn


def test_what_was_in_the_corner_is_gone() -> None:
    rng = np.random.default_rng(0)
    field = rng.integers(0, 256, (224, 224, 3), np.uint8)
    marked = field.copy()
    marked[-CORNER_PX[0] :, -CORNER_PX[1] :] = 0
    covered = cover_corner(marked)
    assert np.array_equal(covered, cover_corner(field))
    assert np.array_equal(covered[: -CORNER_PX[0]], field[: -CORNER_PX[0]])


def test_a_variant_of_an_image_does_not_depend_on_its_corner() -> None:
    field = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    marked = field.copy()
    marked[-CORNER_PX[0] :, -CORNER_PX[1] :] = 255
    for seed in range(10):
        assert np.array_equal(augment(field, np.random.default_rng(seed)), augment(marked, np.random.default_rng(seed)))


def test_variants_differ_and_the_original_is_left_alone() -> None:
    field, _ = draw_smear(np.random.default_rng(0), "pre-b")
    before = field.copy()
    variants = [augment(field, np.random.default_rng(seed)) for seed in range(6)]
    assert len({variant.tobytes() for variant in variants}) == 6
    assert all(variant.shape == field.shape and variant.dtype == np.uint8 for variant in variants)
    assert np.array_equal(field, before)


def test_all_eight_orientations_occur_and_pixels_stay() -> None:
    field = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    turned = {turn(field, np.random.default_rng(seed)).tobytes() for seed in range(200)}
    assert len(turned) == 8
    assert all(sorted(one) == sorted(field.tobytes()) for one in turned)


def test_drawn_bars_stay_in_the_corners() -> None:
    field = np.full((224, 224, 3), 128, np.uint8)
    corners = set()
    for seed in range(60):
        rows, columns = np.nonzero((draw_scale_bar(field, np.random.default_rng(seed)) != field).any(axis=2))
        corners.add((bool(rows.mean() > 112), bool(columns.mean() > 112)))
        assert np.ptp(rows) <= CORNER_PX[0] + 2
    assert len(corners) == 4
