"""Tests whether held-out answers fit the labels better than they would fit random labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 9_999


def permutation_ratio(
    top: NDArray[np.int64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> float:
    """Share of labellings, the true one included, that agree with ``top`` (n,) at least as often as ``labels`` (n,).

    Labels change places within a group, and groups keep theirs together: the labels of the pictures, group after group
    in random order, are given to the pictures in another random order of groups. So five specimens with one label each
    count as five, however many pictures each has. The ratio is never 0 (B. Phipson and G. K. Smyth, "Permutation
    p-values should never be zero", 2010).
    """
    rng = np.random.default_rng(seed)
    _, of = np.unique(groups, return_inverse=True)
    observed = int((top == labels).sum())
    count = int(of.max()) + 1
    reached = 0
    for _ in range(permutations):
        within = rng.random(len(of))
        given = labels[np.lexsort((within, rng.permutation(count)[of]))]
        taken = top[np.lexsort((within, rng.permutation(count)[of]))]
        reached += int((taken == given).sum()) >= observed
    return (reached + 1) / (permutations + 1)
