"""Divides pictures into folds, with each group in one fold and the classes spread evenly."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

MIN_GROUPS = 2
"""Fewest groups of a class: with one, nothing is left to fit to while that one is held out."""


def folds_count(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> int:
    """The number of folds: the fewest groups (n,) of any class with ``MIN_GROUPS``, so that each can be in every fold.

    It is 1 unless two classes of ``labels`` (n,) have ``MIN_GROUPS``: with one there would be nothing to tell apart.
    """
    counts = [len(np.unique(groups[labels == label])) for label in np.unique(labels)]
    enough = [count for count in counts if count >= MIN_GROUPS]
    return min(enough) if len(enough) > 1 else 1


def divide(labels: NDArray[np.int64], groups: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each picture, int64 (n,) from 0 to ``folds`` - 1, by ``labels`` and ``groups`` (n,)."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    divided = np.zeros(len(labels), np.int64)
    with warnings.catch_warnings():
        # The warning is for a class with fewer pictures than folds; only groups count here.
        warnings.simplefilter("ignore", UserWarning)
        for fold, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
            divided[held_out] = fold
    return divided
