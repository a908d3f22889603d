"""Opening and closing masks that share bytes gives the same as for each alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge_agent.vision.mask_bits import open_and_close_all
from edge_agent.vision.segmentation import open_and_close


def assert_as_each_alone(masks: NDArray[np.bool_]) -> None:
    found = open_and_close_all(masks)
    assert found.shape == masks.shape
    for each, mask in zip(found, masks, strict=True):
        np.testing.assert_array_equal(each > 0, open_and_close(mask.view(np.uint8)) > 0)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 10), st.integers(1, 14), st.integers(1, 14))
def test_any_masks(data: st.DataObject, count: int, height: int, width: int) -> None:
    assert_as_each_alone(data.draw(arrays(np.bool_, (count, height, width))))


@pytest.mark.parametrize("count", [1, 8, 9, 16])
def test_blobs_on_every_edge(count: int) -> None:
    noise = np.random.default_rng(count).random((count, 40, 56))
    masks = np.stack([cv2.GaussianBlur(each, (0, 0), 1.5) > 0.5 for each in noise])
    assert all(edge.any() for edge in (masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]))
    assert_as_each_alone(masks)
