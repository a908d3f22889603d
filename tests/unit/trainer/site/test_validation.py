import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.errors import DataError
from trainer.site.cross_validation import CrossValidation
from trainer.site.validation import OWN_REFUSED_RATIO, choose_limit, cross_validate

Floats = NDArray[np.float32]


def _validate(features: Floats, labels: NDArray[np.int64], groups: NDArray[np.int64]) -> CrossValidation:
    rng = np.random.default_rng(9)
    varied = features[:, None] + rng.normal(scale=0.3, size=(len(features), 3, features.shape[1]))
    codes = tuple("abc"[: labels.max() + 1])
    return cross_validate(features, varied.astype(np.float32), labels, groups, codes)


def test_every_picture_is_judged_once_and_well_where_the_classes_differ() -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1, 2], 20)
    features = (rng.normal(size=(3, 8))[labels] * 4 + rng.normal(size=(60, 8))).astype(np.float32)
    found = _validate(features, labels, np.arange(60))
    assert (found.top == labels).mean() > 0.9
    assert sorted(set(found.folds.tolist())) == [0, 1, 2, 3, 4]
    assert np.allclose(found.probabilities.sum(axis=1), 1)
    assert sum(len(held_out) for _, held_out in found.splits) == 60


def test_what_only_the_group_gives_away_is_worth_nothing() -> None:
    # Each group has a random label and its own features: memorised they fit, held out they do not.
    rng = np.random.default_rng(1)
    of_group = rng.permutation(np.tile([0, 1], 20))
    groups = np.repeat(np.arange(40), 3)
    features = (rng.normal(size=(40, 30))[groups] * 5 + rng.normal(size=(120, 30)) * 0.1).astype(np.float32)
    labels = of_group[groups]
    apart = _validate(features, labels, groups)
    mixed = _validate(features, labels, np.arange(120))
    assert (apart.top == labels).mean() < 0.65
    assert (mixed.top == labels).mean() > 0.8


def test_pictures_unlike_the_rest_are_the_ones_that_are_unfamiliar() -> None:
    rng = np.random.default_rng(2)
    labels = np.tile([0, 1], 50)
    features = rng.normal(size=(100, 5)).astype(np.float32)
    features[7] += 40
    found = _validate(features, labels, np.arange(100))
    assert found.unfamiliar[7]
    assert found.unfamiliar.mean() <= OWN_REFUSED_RATIO


def test_the_limit_refuses_at_most_its_share() -> None:
    scores = np.arange(1.0, 101.0)
    limit = choose_limit(scores)
    assert (scores > limit).sum() == 4
    assert choose_limit(np.array([1.0, 2.0, 3.0])) == 3


@pytest.mark.parametrize(
    ("labels", "groups", "what"),
    [
        ([0] * 10 + [1] * 3, list(range(13)), "Class b has 3 pictures"),
        ([0] * 10 + [1] * 10, [*range(10), *[10] * 10], "All 10 pictures of class b belong together"),
    ],
)
def test_too_few_pictures_or_groups_are_one_clear_error(labels: list[int], groups: list[int], what: str) -> None:
    features = np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32)
    with pytest.raises(DataError, match=what):
        _validate(features, np.array(labels), np.array(groups))


def test_a_class_with_a_single_picture_counts_as_wrong_and_stops_nothing() -> None:
    rng = np.random.default_rng(3)
    labels = np.array([0, 1] * 30 + [2])
    features = (rng.normal(size=(3, 8))[labels] * 4 + rng.normal(size=(61, 8))).astype(np.float32)
    found = _validate(features, labels, np.arange(61))
    alone = _validate(features[:60], labels[:60], np.arange(60))
    assert found.top[60] != 2
    assert (found.top[:60] == labels[:60]).mean() > 0.9
    # A class that could not be known does not lower the confidence of everything else.
    assert found.temperature < 3 * alone.temperature
