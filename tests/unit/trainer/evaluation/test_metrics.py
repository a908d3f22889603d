from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, classification_report, confusion_matrix, roc_auc_score

from edge_agent.contracts import Label
from edge_agent.inference.probabilities import softmax
from trainer.evaluation.figures import Figures
from trainer.evaluation.metrics import measure_answers
from trainer.evaluation.reliability import expected_calibration_error

LABELS = tuple(
    Label(code=code, display_name=code, meaning=code, malignant=malignant)
    for code, malignant in (("benign", False), ("pre-b", True), ("pro-b", True))
)


def _measure(
    probabilities: np.ndarray, truth: np.ndarray, labels: tuple[Label, ...], min_confidence_ratio: float = 0.5
) -> Figures:
    """Figures if only confidence decides about answering."""
    return measure_answers(probabilities, truth, labels, probabilities.max(axis=1) >= min_confidence_ratio)


def _sure(classes: list[int], confidence: float = 0.9) -> np.ndarray:
    probabilities = np.full((len(classes), 3), (1 - confidence) / 2)
    probabilities[np.arange(len(classes)), classes] = confidence
    return probabilities


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and truth of 6 to 80 images, with every class among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(6, 80))
    truth = rng.permutation(np.arange(count) % 3)
    logits = rng.normal(0, 1, (count, 3)) + draw(st.floats(0, 4)) * np.eye(3)[truth]
    return softmax(logits, 1.0), truth


@settings(max_examples=40)
@given(judged())
def test_figures_are_those_of_scikit_learn(images: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, truth = images
    figures = _measure(probabilities, truth, LABELS)
    top = probabilities.argmax(axis=1)
    codes = [label.code for label in LABELS]
    report = classification_report(truth, top, target_names=codes, output_dict=True, zero_division=0.0)
    for each in figures.classes:
        assert each.precision_ratio == pytest.approx(report[each.code]["precision"])
        assert each.recall_ratio == pytest.approx(report[each.code]["recall"])
        assert each.f1_ratio == pytest.approx(report[each.code]["f1-score"])
        assert each.images_count == report[each.code]["support"]
    assert figures.accuracy_ratio == pytest.approx(report["accuracy"])
    assert figures.macro_f1_ratio == pytest.approx(report["macro avg"]["f1-score"])
    assert figures.macro_precision_ratio == pytest.approx(report["macro avg"]["precision"])
    assert figures.macro_recall_ratio == pytest.approx(report["macro avg"]["recall"])
    assert np.array_equal(figures.confusion, confusion_matrix(truth, top))
    assert figures.auroc_ratio == pytest.approx(roc_auc_score(truth, probabilities, multi_class="ovr"))
    assert figures.brier_score == pytest.approx(((probabilities - np.eye(3)[truth]) ** 2).sum(axis=1).mean())

    two = classification_report(truth > 0, top > 0, output_dict=True, zero_division=0.0)
    malignant, benign = two["True"], two["False"]
    assert figures.malignant_recall_ratio == pytest.approx(malignant["recall"])
    assert figures.malignant_f1_ratio == pytest.approx(malignant["f1-score"])
    assert figures.malignant_specificity_ratio == pytest.approx(benign["recall"])
    assert (figures.malignant_precision_ratio or 0.0) == pytest.approx(malignant["precision"])
    assert figures.malignant_auroc_ratio == pytest.approx(roc_auc_score(truth > 0, 1 - probabilities[:, 0]))


def test_two_classes_have_the_familiar_brier_score_twice() -> None:
    rng = np.random.default_rng(0)
    positive = rng.uniform(size=50)
    truth = (rng.uniform(size=50) < positive).astype(int)
    figures = _measure(np.column_stack([1 - positive, positive]), truth, LABELS[:2])
    assert figures.brier_score == pytest.approx(2 * brier_score_loss(truth, positive))


def test_figures_of_a_known_confusion() -> None:
    truth = np.array([0, 0, 1, 1, 1, 2])
    figures = _measure(_sure([0, 1, 1, 1, 2, 0]), truth, LABELS)
    assert figures.accuracy_ratio == pytest.approx(3 / 6)
    assert figures.confusion == ((1, 1, 0), (0, 2, 1), (1, 0, 0))
    assert figures.classes[1].recall_ratio == pytest.approx(2 / 3)
    assert figures.classes[1].precision_ratio == pytest.approx(2 / 3)
    # A pre-B called pro-B still counts as found malignant.
    assert figures.malignant_recall_ratio == pytest.approx(3 / 4)
    assert figures.malignant_specificity_ratio == pytest.approx(1 / 2)
    low, high = figures.accuracy_interval_ratio
    assert low < figures.accuracy_ratio < high


def test_images_below_the_threshold_count_as_refused() -> None:
    probabilities = np.concatenate([_sure([0], 0.95), _sure([1], 0.6)])
    figures = _measure(probabilities, np.array([0, 0]), LABELS, 0.8)
    assert figures.refused_ratio == pytest.approx(0.5)
    assert figures.answered_accuracy_ratio == pytest.approx(1.0)
    assert figures.accuracy_ratio == pytest.approx(0.5)


def test_a_refused_image_counts_by_its_top_class_but_not_as_an_answer() -> None:
    answered = np.array([True, False, True])
    figures = measure_answers(_sure([0, 1, 2]), np.array([0, 0, 2]), LABELS, answered)
    assert figures.accuracy_ratio == pytest.approx(2 / 3)
    assert figures.answered_accuracy_ratio == pytest.approx(1.0)
    assert figures.refused_ratio == pytest.approx(1 / 3)


def test_a_figure_without_images_is_not_defined() -> None:
    figures = _measure(_sure([0]), np.array([0]), LABELS, 0.99)
    assert figures.malignant_recall_ratio is None
    assert figures.malignant_auroc_ratio is None
    assert figures.answered_accuracy_ratio is None
    assert figures.auroc_ratio is None
    assert [each.auroc_ratio for each in figures.classes] == [None, None, None]


def test_confidence_that_matches_accuracy_has_no_calibration_error() -> None:
    right = np.array([True] * 9 + [False])
    assert expected_calibration_error(np.full(10, 0.9), right) == pytest.approx(0.0, abs=1e-9)
    assert expected_calibration_error(np.full(10, 0.5), right) == pytest.approx(0.4)
    assert expected_calibration_error(np.ones(10), np.zeros(10, bool)) == pytest.approx(1.0)


def test_reliability_shows_what_the_calibration_error_sums() -> None:
    probabilities = np.concatenate([_sure([0] * 8, 0.9), _sure([0] * 4, 0.5)])
    figures = _measure(probabilities, np.array([0] * 6 + [1] * 6), LABELS)
    assert [each.images_count for each in figures.reliability] == [4, 8]
    gaps = [each.images_count * abs(each.accuracy_ratio - each.confidence_ratio) for each in figures.reliability]
    assert figures.expected_calibration_error_ratio == pytest.approx(sum(gaps) / 12)


def test_answering_only_the_surest_has_the_risk_of_those() -> None:
    confidence = np.linspace(0.4, 0.99, 100)
    probabilities = np.concatenate([_sure([0], each) for each in confidence])
    # The tenth with the lowest confidence is wrong.
    truth = np.array([1] * 10 + [0] * 90)
    risk = {point.coverage_ratio: point for point in _measure(probabilities, truth, LABELS).risk_coverage}
    assert risk[0.9].error_ratio == 0
    assert risk[1.0].error_ratio == pytest.approx(0.1)
    assert risk[0.9].min_confidence_ratio == pytest.approx(confidence[10])


def _half_right(images_per_group: int, groups: int) -> Figures:
    """Groups of which every other one is entirely wrong."""
    truth = np.repeat(np.arange(groups) % 2, images_per_group)
    answered = np.ones(len(truth), bool)
    of_group = np.repeat(np.arange(groups), images_per_group)
    return measure_answers(_sure([0] * len(truth)), truth, LABELS, answered, groups=of_group)


def test_intervals_come_from_groups_not_from_images() -> None:
    def width(figures: Figures) -> float:
        assert figures.intervals is not None
        low, high = figures.intervals["accuracy_ratio"]
        assert low <= figures.accuracy_ratio <= high
        return high - low

    assert _half_right(20, 16).groups_count == 16
    # Twenty times the images of the same groups add no information; as many images in their own groups do.
    assert width(_half_right(20, 16)) == pytest.approx(width(_half_right(1, 16)))
    assert width(_half_right(1, 320)) < 0.5 * width(_half_right(20, 16))


def test_the_bootstrap_has_the_width_that_theory_gives() -> None:
    intervals = _half_right(1, 400).intervals
    assert intervals is not None
    low, high = intervals["accuracy_ratio"]
    assert high - low == pytest.approx(2 * 1.96 * (0.25 / 400) ** 0.5, rel=0.15)
