"""Exact k-means in one dimension, on the histogram of an 8-bit channel.

An 8-bit channel has at most 256 values, so clustering its pixels is clustering that many weighted points.
On a line an optimal cluster is an interval of the sorted values, and dynamic programming over the intervals' ends
finds the GLOBAL optimum (R. Bellman, "A note on cluster analysis and dynamic programming", 1973; H. Wang and
M. Song, "Ckmeans.1d.dp", The R Journal 3/2, 2011). No start values, no iterations, no seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.colour import LEVELS

_LEVELS = np.arange(LEVELS)
EMPTY_ABOVE = np.where(np.triu(np.ones((LEVELS, LEVELS), dtype=np.bool_), k=1), np.inf, 0.0)
"""Infinite above the diagonal, where an interval would be empty, else 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """A clustering of the levels 0 to 255, clusters in the order of their centres."""

    centres: NDArray[np.float64]
    """Mean level of each cluster, shape (k,), ascending."""
    counts: NDArray[np.int64]
    """Pixels in each cluster, shape (k,)."""
    histogram: NDArray[np.integer]
    """The clustered histogram: the count of each level, shape (256,)."""
    labels: NDArray[np.uint8]
    """Cluster of each level, shape (256,): a look-up table.

    A level that does not occur belongs to the nearest centre.
    """

    @property
    def inertia(self) -> float:
        """Sum of squared distances of the pixels to their centres, in squared levels."""
        return float((self.histogram * (_LEVELS - self.centres[self.labels]) ** 2).sum())


def kmeans_histogram(histogram: NDArray[np.integer], k: int) -> Clusters:
    """Cluster the levels of an 8-bit channel optimally.

    ``histogram`` has shape (256,): the count of each level. If fewer than ``k`` levels occur, each is its own cluster
    and there are fewer than ``k`` clusters. Among equally good clusterings, the one whose upper clusters begin lowest
    is chosen, so that the same histogram always gives the same labels.

    Raises ``ValueError`` if the histogram is empty, negative or of another shape, or ``k`` is not 1 to 256.
    """
    if histogram.shape != (LEVELS,):
        raise ValueError(f"expected a histogram of shape (256,), not {histogram.shape}")
    if not 1 <= k <= LEVELS:
        raise ValueError(f"k must be 1 to {LEVELS}, not {k}")
    levels = histogram.nonzero()[0]
    if levels.size == 0:
        raise ValueError("the histogram is empty")
    weights = histogram[levels].astype(np.float64)
    if weights.min() < 0:
        raise ValueError("a histogram has no negative counts")
    starts = _optimal_starts(levels, weights, min(k, levels.size))

    counts = np.add.reduceat(weights, starts)
    centres = np.add.reduceat(weights * levels, starts) / counts
    borders = (centres[:-1] + centres[1:]) / 2
    labels = borders.searchsorted(_LEVELS, side="right").astype(np.uint8)
    labels[levels] = starts.searchsorted(_LEVELS[: levels.size], side="right") - 1
    return Clusters(centres, counts.astype(np.int64), histogram, labels)


def _optimal_starts(values: NDArray[np.intp], weights: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Index of the first value of each of the ``k`` optimal intervals; shape (k,), the first is 0."""
    n = values.size
    # The inertia of an interval is S2 - S1^2 / S0 of the prefix sums' differences. S2 adds up to the same for every
    # clustering, so only the second term has to be minimised. Values are shifted to begin at 0, so that sums are exact
    # in float64 for up to 2^53 / 255 pixels.
    s0, s1 = np.zeros(n + 1), np.zeros(n + 1)
    weights.cumsum(out=s0[1:])
    (weights * (values - values[0])).cumsum(out=s1[1:])
    # cost[j, i]: values i..j, both included. Above the diagonal an interval would be empty: its size is any but 0.
    cost = s1[1:, None] - s1[:-1]
    cost *= cost
    sizes = s0[:-1] - s0[1:, None]
    np.minimum(sizes, -1.0, out=sizes)
    cost /= sizes
    cost += EMPTY_ABOVE[:n, :n]

    best = cost[:, 0]
    before = np.empty(n)
    before[0] = np.inf
    choices = np.zeros((k, n), dtype=np.intp)
    for cluster in range(1, k):
        # total[j, i]: the first i values in the clusters before, values i..j in this one. Of the last cluster only
        # the interval that ends with the last value is needed.
        ends = slice(n - 1, n) if cluster == k - 1 else slice(None)
        before[1:] = best[:-1]
        total = before + cost[ends]
        ended = total.argmin(axis=1)
        choices[cluster, ends] = ended
        # Picking these takes a seventh of the time of searching for the minima again.
        best = total[_LEVELS[: ended.size], ended]
    starts = np.zeros(k, dtype=np.intp)
    end = n - 1
    for cluster in range(k - 1, 0, -1):
        starts[cluster] = choices[cluster, end]
        end = starts[cluster] - 1
    return starts
