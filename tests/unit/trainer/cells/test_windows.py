"""Windows: as the device cuts them, and turned, scaled, shifted and mirrored."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.vision.cell_windows import cut_window
from edge_agent.vision.cells import CELL_WINDOW_UM
from tests.unit.trainer.cells.drawn_cells import draw_cell
from trainer.cells.windows.canvases import CANVAS_PX, UM_PER_PIXEL
from trainer.cells.windows.cutting import AS_ON_DEVICE, WINDOW_PX, Placement, cut_canvas, random_placement

CANVAS = np.random.default_rng(0).integers(0, 256, (CANVAS_PX, CANVAS_PX, 3), np.uint8)


def _spot(x_px: float, y_px: float) -> NDArray[np.uint8]:
    """A soft white spot at this distance from the middle of a canvas."""
    y, x = np.mgrid[:CANVAS_PX, :CANVAS_PX] - (CANVAS_PX - 1) / 2
    light = 255 * np.exp(-((x - x_px) ** 2 + (y - y_px) ** 2) / 50)
    return np.repeat(light[..., None], 3, axis=2).astype(np.uint8)


def _found(window: NDArray[np.uint8]) -> tuple[float, float]:
    """The position of the spot, relative to the middle of a window."""
    light = window[..., 0].astype(float)
    y, x = np.mgrid[:WINDOW_PX, :WINDOW_PX] - (WINDOW_PX - 1) / 2
    return float((x * light).sum() / light.sum()), float((y * light).sum() / light.sum())


def test_a_window_is_the_devices_at_the_devices_scale() -> None:
    assert WINDOW_PX * UM_PER_PIXEL == CELL_WINDOW_UM
    middle = CANVAS_PX / 2
    assert np.array_equal(cut_canvas(CANVAS), cut_window(CANVAS, (middle, middle), (WINDOW_PX, WINDOW_PX), WINDOW_PX))


def test_a_window_shares_no_memory_with_its_canvas() -> None:
    assert not np.shares_memory(cut_canvas(CANVAS), CANVAS)


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        (AS_ON_DEVICE, (20, 8)),
        (Placement(degrees=90), (8, -20)),
        (Placement(scale=1.5), (30, 12)),
        (Placement(shift_px=(3, -5)), (23, 3)),
        (Placement(mirrored=True), (-20, 8)),
        (Placement(degrees=90, scale=0.5, shift_px=(1, 2), mirrored=True), (-5, -8)),
    ],
    ids=["as-on-device", "turned", "scaled", "shifted", "mirrored", "all"],
)
def test_a_placement_moves_the_cell_as_it_says(placement: Placement, expected: tuple[float, float]) -> None:
    assert _found(cut_canvas(_spot(20, 8), placement)) == pytest.approx(expected, abs=0.3)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_random_window_keeps_the_cell_and_is_the_same_for_a_seed(seed: int) -> None:
    canvas = cv2.resize(draw_cell(), (CANVAS_PX, CANVAS_PX))
    one, other = (
        cut_canvas(np.asarray(canvas, np.uint8), random_placement(np.random.default_rng(seed))) for _ in range(2)
    )
    assert one.shape == (WINDOW_PX, WINDOW_PX, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, other)
    assert one[44:52, 44:52, 1].max() < 110


def test_random_placements_vary_as_much_as_stated() -> None:
    rng = np.random.default_rng(0)
    drawn = [random_placement(rng) for _ in range(2000)]
    assert np.std([np.log(each.scale) for each in drawn]) == pytest.approx(0.06, rel=0.1)
    assert np.std([each.shift_px for each in drawn], axis=0) == pytest.approx([1.5, 1.5], rel=0.1)
    assert np.mean([each.mirrored for each in drawn]) == pytest.approx(0.5, abs=0.05)
    assert np.histogram([each.degrees for each in drawn], bins=8, range=(0, 360))[0] == pytest.approx(250, rel=0.3)


def test_a_canvas_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="a canvas has the shape"):
        cut_canvas(CANVAS[:-1])
