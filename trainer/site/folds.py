"""Divides pictures into folds, each group in one, the classes spread evenly."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

MIN_GROUPS = 2
"""Of a class: with one there is nothing to fit to while it is held out."""


def folds_count(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> int:
    """How many folds can have every class that has ``MIN_GROUPS``: the fewest groups (n,) that any of those has.

    It is 1 unless two classes of ``labels`` (n,) have so many: with one there would be nothing to tell apart.
    """
    counts = [len(np.unique(groups[labels == label])) for label in np.unique(labels)]
    enough = [count for count in counts if count >= MIN_GROUPS]
    return min(enough) if len(enough) > 1 else 1


def divide(labels: NDArray[np.int64], groups: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Number of the fold, int64 (n,) from 0 to ``folds`` - 1, of pictures with these ``labels`` and ``groups`` (n,)."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    divided = np.zeros(len(labels), np.int64)
    with warnings.catch_warnings():
        # A class with fewer pictures than folds; groups are what counts here.
        warnings.simplefilter("ignore", UserWarning)
        for fold, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
            divided[held_out] = fold
    return divided
