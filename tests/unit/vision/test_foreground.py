from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.vision.foreground import foreground_pct

Plane = NDArray[np.uint8]


def shade(size: tuple[int, int], level: float, corners: float, slope: float) -> NDArray[np.float64]:
    """Glass of this level, darker in the corners by this share, and brighter on one side by this share."""
    y, x = (np.linspace(-1, 1, points) for points in size)
    away = (y[:, None] ** 2 + x[None, :] ** 2) / 2
    return level * (1 - corners * away) * (1 + slope * x[None, :])


def as_plane(levels: NDArray[np.float64]) -> Plane:
    return np.clip(levels, 0, 255).astype(np.uint8)


def with_discs(plane: Plane, radius: int, step: int, share: float) -> tuple[Plane, float]:
    """The plane with discs that take away this share of the light, and the percentage of the field they cover."""
    mask = np.zeros(plane.shape, np.uint8)
    for y in range(step // 2, plane.shape[0], step):
        for x in range(step // 2, plane.shape[1], step):
            cv2.circle(mask, (x, y), radius, (255,), -1)
    return as_plane(np.where(mask > 0, plane * (1 - share), plane)), 100 * float(np.mean(mask > 0))


@settings(deadline=None)
@given(
    size=st.sampled_from([(224, 224), (240, 320), (223, 301)]),
    level=st.floats(77, 240),
    corners=st.floats(0, 0.33),
    slope=st.floats(-0.1, 0.1),
    noise=st.floats(0, 0.03),
    seed=st.integers(0, 2**32 - 1),
)
def test_glass_in_uneven_light_is_background(
    size: tuple[int, int], level: float, corners: float, slope: float, noise: float, seed: int
) -> None:
    glass = shade(size, level, corners, slope) + np.random.default_rng(seed).normal(0, noise * level, size)
    assert foreground_pct(as_plane(glass)) < 2


@settings(deadline=None)
@given(
    size=st.sampled_from([(224, 224), (240, 320), (223, 301)]),
    level=st.floats(60, 240),
    corners=st.floats(0, 0.2),
    step=st.integers(26, 60),
    share=st.floats(0.2, 0.8),
)
def test_it_is_about_the_share_that_cells_cover(
    size: tuple[int, int], level: float, corners: float, step: int, share: float
) -> None:
    cells, covered = with_discs(as_plane(shade(size, level, corners, 0)), 10, step, share)
    # A point that a dark cell covers in part counts as well, as if the cell were half a point larger all around.
    _, outgrown = with_discs(np.zeros(size, np.uint8), 13, step, share)
    assert covered - 4 < foreground_pct(cells) < outgrown


@pytest.mark.parametrize("level", [0, 3, 90, 255])
def test_one_level_all_over_is_background(level: int) -> None:
    assert foreground_pct(np.full((224, 224), level, np.uint8)) == 0


def test_cells_without_a_gap_between_them_are_not_background() -> None:
    rng = np.random.default_rng(0)
    light = np.full((224, 224), 230.0)
    for x, y in rng.integers(0, 224, (700, 2)):
        cell = np.zeros((224, 224), np.uint8)
        cv2.circle(cell, (int(x), int(y)), 12, (255,), -1)
        light[cell > 0] = np.maximum(light[cell > 0] * 0.85, 60)
    assert (light < 230).mean() > 0.99
    assert foreground_pct(as_plane(light)) > 20


def test_specks_do_not_fill_a_field() -> None:
    glass = np.full((224, 224), 225, np.uint8)
    for x in range(20, 220, 20):
        cv2.circle(glass, (x, (7 * x) % 224), 3, (60,), -1)
    assert 0 < foreground_pct(glass) < 2
