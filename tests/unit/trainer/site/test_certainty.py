import numpy as np
import pytest

from trainer.site.certainty import accuracy_interval, design_effect
from trainer.site.permutation import permutation_ratio


def test_independent_pictures_have_no_design_effect() -> None:
    right = np.random.default_rng(0).random(500) < 0.8
    assert design_effect(right, np.arange(500)) == pytest.approx(1, abs=0.01)


def test_groups_that_are_right_or_wrong_as_a_whole_count_as_one_picture_each() -> None:
    groups = np.repeat(np.arange(100), 10)
    right = (np.random.default_rng(0).random(100) < 0.7)[groups]
    assert design_effect(right, groups) == pytest.approx(10, rel=0.1)


def test_groups_without_a_mistake_are_still_not_as_good_as_independent_pictures() -> None:
    right = np.ones(300, np.bool_)
    assert design_effect(right, np.repeat(np.arange(20), 15)) > 2
    low, high = accuracy_interval(right, np.repeat(np.arange(3), 100))
    assert low < 0.98
    assert high == 1


@pytest.mark.parametrize(("accuracy", "groups_count", "size", "spread"), [(0.95, 80, 1, 0), (0.9, 20, 8, 0.1)])
def test_the_interval_covers_the_true_accuracy(accuracy: float, groups_count: int, size: int, spread: float) -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(groups_count), size)
    covered = []
    for seed in range(100):
        of_group = np.clip(accuracy + rng.uniform(-spread, spread, groups_count), 0, 1)
        low, high = accuracy_interval(rng.random(len(groups)) < of_group[groups], groups, seed=seed)
        covered.append(low <= accuracy <= high)
    assert np.mean(covered) >= 0.93


def test_answers_that_fit_are_beyond_chance_and_random_ones_are_not() -> None:
    labels = np.tile([0, 1], 30)
    groups = np.arange(60)
    assert permutation_ratio(labels, labels, groups, permutations=1999) == pytest.approx(1 / 2000)
    rng = np.random.default_rng(0)
    ratios = [
        permutation_ratio(rng.permutation(labels), labels, groups, seed=seed, permutations=199) for seed in range(100)
    ]
    assert np.mean(np.array(ratios) <= 0.05) <= 0.1


def test_three_specimens_of_each_class_cannot_prove_much_however_many_pictures_they_have() -> None:
    labels = np.repeat([0, 0, 0, 1, 1, 1], 50)
    groups = np.repeat(np.arange(6), 50)
    # There are 20 ways to give six specimens three labels each.
    assert permutation_ratio(labels, labels, groups, permutations=1999) == pytest.approx(1 / 20, rel=0.3)
    assert permutation_ratio(labels, labels, np.arange(300), permutations=1999) < 0.001
