"""Weighted figures: a weight is a number of copies, and scikit-learn gives the same figures for the copies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score, roc_curve

from trainer.cells.laboratories.sources import TYPES, Meaning
from trainer.evaluation.reliability import expected_calibration_error
from trainer.many_laboratories.measures import (
    MATURE,
    area,
    calibration_error,
    macro_f1,
    mean,
    measure_cells,
    sensitivity,
)
from trainer.many_laboratories.scores import Scores


@st.composite
def _resamples(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Scores with ties, whether each is positive, and weights of three resamples, each with both kinds."""
    count = draw(st.integers(4, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    score = rng.integers(0, draw(st.integers(2, 40)), count) / 40
    positive = np.arange(count) % 2 == 0
    weights = rng.integers(0, 4, (3, count)).astype(np.float64)
    weights[:, :2] += 1
    return score, positive, weights


def _copies(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(weights)), weights.astype(np.int64))


@settings(max_examples=40)
@given(_resamples())
def test_a_weight_is_a_number_of_copies(
    drawn: tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]],
) -> None:
    score, positive, weights = drawn
    found = (
        area(score, positive, weights),
        sensitivity(score, positive, weights),
        calibration_error(score, positive, weights),
        mean((score - positive) ** 2, weights),
    )
    for row, copies in enumerate(map(_copies, weights)):
        s, p = score[copies], positive[copies]
        false_alarms, hits, _ = roc_curve(p, s, drop_intermediate=False)
        expected = (
            roc_auc_score(p, s),
            hits[false_alarms <= 0.05 + 1e-12].max(),
            expected_calibration_error(s, p),
            brier_score_loss(p, s),
        )
        assert [each[row] for each in found] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_the_mean_f1_is_over_the_classes_that_a_resample_has(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, named = rng.integers(0, 4, 25), rng.integers(0, 6, 25)
    weights = rng.integers(0, 2, (3, 25)).astype(np.float64)
    weights[:, 0] = 1
    found = macro_f1(truth, named, weights, 4)
    for row, copies in enumerate(map(_copies, weights)):
        present = np.unique(truth[copies])
        expected = f1_score(truth[copies], named[copies], labels=present, average="macro", zero_division=0)
        assert found[row] == pytest.approx(expected)


def _scores(truth: list[Meaning], likeliest: list[Meaning], second: list[Meaning]) -> Scores:
    probabilities = np.full((len(truth), len(TYPES)), 0.01)
    for row, (first, other) in enumerate(zip(likeliest, second, strict=True)):
        probabilities[row, TYPES.index(first)] = 0.5
        probabilities[row, TYPES.index(other)] = 0.3
    return Scores(probabilities[:, 0], probabilities, np.array([TYPES.index(each) for each in truth]))


def test_named_one_of_five_is_kinder_than_named_one_of_all() -> None:
    lymphocyte, monocyte, blast = Meaning.LYMPHOCYTE, Meaning.MONOCYTE, Meaning.BLAST
    scores = _scores([lymphocyte, monocyte], [blast, monocyte], [lymphocyte, blast])
    found = measure_cells(scores, np.ones((1, 2)))
    assert found["five_types_macro_f1_ratio"][0] == 1
    assert found["all_types_macro_f1_ratio"][0] == pytest.approx(0.5)
    assert found["others_named_blast_ratio"][0] == 0.5
    assert MATURE[0] is lymphocyte


def test_a_figure_that_the_cells_do_not_define_is_left_out_and_one_that_a_resample_lacks_is_not_a_number() -> None:
    lymphocyte, blast = Meaning.LYMPHOCYTE, Meaning.BLAST
    healthy = measure_cells(_scores([lymphocyte] * 2, [lymphocyte] * 2, [blast] * 2), np.ones((1, 2)))
    assert set(healthy) == {"calibration_error_ratio", "brier_score", "others_named_blast_ratio"}
    mixed = measure_cells(
        _scores([lymphocyte, blast], [lymphocyte, blast], [blast, lymphocyte]), np.array([[1.0, 0.0], [1.0, 2.0]])
    )
    assert np.isnan(mixed["blast_auroc_ratio"]).tolist() == [True, False]
    assert np.isnan(mixed["sensitivity_ratio"]).tolist() == [True, False]
    nothing = measure_cells(_scores([], [], []), np.ones((2, 0)))
    assert not nothing
