"""Exact k-means of several histograms at once, into three clusters each.

The histograms of cells' windows are so small that clustering them one by one takes several times as long as the sums.
The clusters are those that ``kmeans.kmeans_histogram`` finds, by the same method.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.kmeans import EMPTY_ABOVE


class ThreeMeans(NamedTuple):
    """The optimal clusters of n histograms."""

    centres: NDArray[np.float64]
    """Mean levels (n, 3), ascending."""
    firsts: NDArray[np.int64]
    """First levels of the middle and the upper cluster, (n, 2), whether they occur or not."""


def three_means(histograms: NDArray[np.int64]) -> ThreeMeans:
    """Cluster the levels of n histograms (n, levels), in each of which at least three levels occur."""
    rows = np.arange(len(histograms))
    levels_count = np.count_nonzero(histograms, axis=1)
    most = int(levels_count.max())
    # Levels that occur come first, in their order; those that do not occur follow.
    levels = np.argsort(histograms == 0, axis=1, kind="stable")[:, :most]
    weights = np.take_along_axis(histograms, levels, axis=1).astype(np.float64)
    lowest = levels[:, :1]
    s0, s1 = np.zeros((2, len(rows), most + 1))
    np.cumsum(weights, axis=1, out=s0[:, 1:])
    np.cumsum(weights * (levels - lowest), axis=1, out=s1[:, 1:])
    # cost[:, j, i]: values i..j, both included. Above the diagonal an interval would be empty.
    cost = s1[:, 1:, None] - s1[:, None, :-1]
    cost *= cost
    sizes = s0[:, None, :-1] - s0[:, 1:, None]
    np.minimum(sizes, -1.0, out=sizes)
    cost /= sizes
    cost += EMPTY_ABOVE[:most, :most]
    # before[:, i]: the cost of the first i values in the clusters before.
    before = np.full((len(rows), most), np.inf)
    before[:, 1:] = cost[:, :-1, 0]
    uppers = cost[rows, levels_count - 1]
    cost += before[:, None]
    middles = cost.argmin(axis=2)
    before[:, 1:] = np.take_along_axis(cost, middles[:, :, None], axis=2)[:, :-1, 0]
    upper = (before + uppers).argmin(axis=1)
    starts = np.stack([np.zeros_like(upper), middles[rows, upper - 1], upper, levels_count], axis=1)
    counts = np.diff(np.take_along_axis(s0, starts, axis=1), axis=1)
    sums = np.diff(np.take_along_axis(s1, starts, axis=1), axis=1)
    centres = (sums + lowest * counts) / counts
    # Each level belongs to the nearest centre. No level that occurs is as near to two: moving it would change the sum.
    return ThreeMeans(centres, np.ceil((centres[:, :-1] + centres[:, 1:]) / 2).astype(np.int64))
