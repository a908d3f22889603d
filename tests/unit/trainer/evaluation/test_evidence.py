"""The permutation test of a bundle's record."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluation.evidence import permutation_ratio


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_the_share_is_never_zero_nor_above_one(pairs: list[tuple[int, int]]) -> None:
    top, truth = np.array(pairs, np.int64).T
    assert 1 / 100 <= permutation_ratio(top, truth, permutations=99) <= 1


def test_the_share_is_that_of_all_labellings() -> None:
    """Fisher's exact test of two by two counts is the same test, over every labelling."""
    stats = pytest.importorskip("scipy.stats")
    truth = np.repeat([0, 1], 10).astype(np.int64)
    top = truth.copy()
    top[[0, 1, 2, 10, 11, 12]] ^= 1
    exact = stats.fisher_exact([[7, 3], [3, 7]], alternative="greater").pvalue
    assert permutation_ratio(top, truth) == pytest.approx(exact, abs=0.02)


def test_always_naming_one_class_is_no_better_than_chance() -> None:
    truth = np.repeat([0, 1], [90, 10]).astype(np.int64)
    assert permutation_ratio(np.zeros_like(truth), truth, permutations=99) == 1
