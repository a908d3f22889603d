from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.site.learning_curve import Folds, LearningCurve, measure_learning_curve

CODES = ("benign", "early", "pre")


def make_folds(count: int) -> Folds:
    number = np.arange(count) % 5
    return [(np.flatnonzero(number != fold), np.flatnonzero(number == fold)) for fold in range(5)]


def refit_that_errs(
    labels: NDArray[np.int64], error: Callable[[NDArray[np.int64]], NDArray[np.floating]]
) -> Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]:
    """A fit that is wrong on a share of each class that depends on its number of labels of each class."""
    luck = np.random.default_rng(5).random(len(labels))

    def refit(train: NDArray[np.intp], test: NDArray[np.intp]) -> NDArray[np.float64]:
        wrong = luck[test] < error(np.bincount(labels[train], minlength=len(CODES)))[labels[test]]
        return np.eye(len(CODES))[np.where(wrong, (labels[test] + 1) % len(CODES), labels[test])]

    return refit


def curve_of(count: int, error: Callable[[NDArray[np.int64]], NDArray[np.floating]], **options: int) -> LearningCurve:
    labels = np.arange(count) % len(CODES)
    # Folds of 5 and classes of 3 are coprime, so each fold has examples of each class.
    return measure_learning_curve(
        labels, np.arange(count), CODES, make_folds(count), refit_that_errs(labels, error), **options
    )


def only_early_is_hard(counts: NDArray[np.int64]) -> NDArray[np.floating]:
    return np.array([0.0, 2.0 * counts[1] ** -0.7, 0.0])


def test_the_class_whose_labels_are_missed_is_named_first_with_about_what_they_bring() -> None:
    curve = curve_of(300, only_early_is_hard)
    best = next(each for each in curve.advice if each.code is not None)
    assert best.code == "early"
    # From 100 labels to 120, of a third of the pictures.
    expected = (2 * 100**-0.7 - 2 * 120**-0.7) / 3
    assert best.gain_ratio == pytest.approx(expected, abs=0.005)
    assert best.gain_interval_ratio is not None
    assert best.gain_interval_ratio[0] <= expected <= best.gain_interval_ratio[1]


def test_labels_of_a_class_that_is_never_missed_hardly_change_anything() -> None:
    curve = curve_of(300, only_early_is_hard)
    spare = next(each for each in curve.advice if each.code == "pre")
    assert spare.gain_ratio == pytest.approx(0, abs=0.002)
    assert "hardly change" in spare.sentence


def test_accuracy_grows_along_the_curve_with_the_labels_fitted_to() -> None:
    curve = curve_of(300, lambda counts: 2.0 * counts**-0.7)
    accuracies = [each.accuracy_ratio for each in curve.points]
    assert accuracies == sorted(accuracies)
    assert [each.labels_count for each in curve.points] == [96, 156, 240]
    assert all(
        each.accuracy_interval_ratio[0] <= each.accuracy_ratio <= each.accuracy_interval_ratio[1]
        for each in curve.points
    )


@pytest.mark.parametrize("more_count", [20, 100_000])
def test_never_more_than_all_right_is_promised(more_count: int) -> None:
    curve = curve_of(60, lambda counts: 2.5 * counts**-1.5, more_count=more_count)
    for each in curve.advice:
        if each.accuracy_ratio is not None and each.gain_interval_ratio is not None:
            assert each.accuracy_ratio <= 1
            assert curve.points[-1].accuracy_ratio + each.gain_interval_ratio[1] <= 1 + 1e-9


def test_a_few_mistakes_are_not_promised_away_whole() -> None:
    """However much the last labels brought: no curve falls faster than one that ends at no mistakes at all."""
    curve = curve_of(60, lambda counts: np.clip(0.9 - 0.053 * counts, 0.05, 1))
    everything = next(each for each in curve.advice if each.code is None)
    error = 1 - curve.points[-1].accuracy_ratio
    assert error > 0
    assert everything.gain_ratio is not None
    assert everything.gain_ratio < 0.8 * error


def test_fewer_than_ten_labels_of_a_class_are_too_few_to_tell() -> None:
    curve = curve_of(27, only_early_is_hard)
    assert {each.gain_ratio for each in curve.advice} == {None}
    assert all(each.sentence.startswith("There are too few labels to tell") for each in curve.advice)


def test_a_few_specimens_are_too_few_to_tell_however_many_pictures_they_have() -> None:
    labels = np.arange(300) % len(CODES)
    curve = measure_learning_curve(
        labels, np.arange(300) % 5, CODES, make_folds(300), refit_that_errs(labels, only_early_is_hard)
    )
    assert {each.gain_ratio for each in curve.advice} == {None}


def test_an_interval_as_wide_as_a_guess_is_no_advice() -> None:
    labels = np.arange(36) % len(CODES)
    curve = measure_learning_curve(
        labels, np.arange(36), CODES, make_folds(36), refit_that_errs(labels, lambda counts: 4.0 * counts**-1.0)
    )
    assert None in {each.gain_ratio for each in curve.advice}
    # Known gains come before unknown ones.
    unknown = [each.gain_ratio is None for each in curve.advice]
    assert unknown == sorted(unknown)


def test_the_same_seed_gives_the_same_advice() -> None:
    assert curve_of(120, only_early_is_hard, seed=3) == curve_of(120, only_early_is_hard, seed=3)
