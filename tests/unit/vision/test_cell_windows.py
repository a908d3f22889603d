"""A window cut out of a picture is the same, whether the picture or only the window was scaled down first."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.vision.cell_windows import cut_window, reduce_areas


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 99),
    shape=st.tuples(st.integers(64, 90), st.integers(64, 90)),
    reduction=st.sampled_from([1, 2, 4]),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    size_px=st.tuples(st.floats(6, 14), st.floats(6, 14)),
)
def test_only_the_window_is_scaled_down(
    seed: int,
    shape: tuple[int, int],
    reduction: int,
    share: tuple[float, float],
    size_px: tuple[float, float],
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    small = reduce_areas(picture, reduction)
    assert small.shape == (shape[0] // reduction, shape[1] // reduction, 3)
    centre_px = share[0] * small.shape[1], share[1] * small.shape[0]
    found = cut_window(picture, centre_px, size_px, 12, reduction=reduction)
    np.testing.assert_array_equal(found, cut_window(small, centre_px, size_px, 12))
