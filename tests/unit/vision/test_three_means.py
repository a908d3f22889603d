"""Clustering several histograms at once gives the same as clustering each alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge_agent.vision.kmeans import kmeans_histogram
from edge_agent.vision.three_means import three_means

counts = st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 5000))
histograms = arrays(np.int64, st.tuples(st.integers(1, 5), st.just(256)), elements=counts, fill=st.just(0))


@settings(max_examples=150, deadline=None)
@given(histograms, st.lists(st.integers(0, 255), min_size=3, max_size=3, unique=True))
def test_each_is_clustered_as_it_is_alone(many: NDArray[np.int64], occurring: list[int]) -> None:
    many[:, occurring] += 1
    found = three_means(many)
    for histogram, centres, firsts in zip(many, found.centres, found.firsts, strict=True):
        alone = kmeans_histogram(histogram, 3)
        np.testing.assert_array_equal(centres, alone.centres)
        np.testing.assert_array_equal(np.searchsorted(firsts, np.arange(256), side="right"), alone.labels)
