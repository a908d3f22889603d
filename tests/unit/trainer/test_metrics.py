from __future__ import annotations

import numpy as np
import pytest

from edge_agent.contracts import Label
from trainer.metrics import expected_calibration_error, measure

LABELS = tuple(
    Label(code=code, display_name=code, meaning=code, malignant=malignant)
    for code, malignant in (("benign", False), ("pre-b", True), ("pro-b", True))
)


def _sure(classes: list[int], confidence: float = 0.9) -> np.ndarray:
    probabilities = np.full((len(classes), 3), (1 - confidence) / 2)
    probabilities[np.arange(len(classes)), classes] = confidence
    return probabilities


def test_figures_of_a_known_confusion() -> None:
    truth = np.array([0, 0, 1, 1, 1, 2])
    figures = measure(_sure([0, 1, 1, 1, 2, 0]), truth, LABELS, 0.5)
    assert figures.accuracy_ratio == pytest.approx(3 / 6)
    assert figures.confusion == ((1, 1, 0), (0, 2, 1), (1, 0, 0))
    assert figures.classes[1].recall_ratio == pytest.approx(2 / 3)
    assert figures.classes[1].precision_ratio == pytest.approx(2 / 3)
    # A pre-B called pro-B is still found malignant.
    assert figures.malignant_recall_ratio == pytest.approx(3 / 4)
    assert figures.malignant_specificity_ratio == pytest.approx(1 / 2)
    low, high = figures.accuracy_interval_ratio
    assert low < figures.accuracy_ratio < high


def test_images_below_the_threshold_count_as_abstained() -> None:
    probabilities = np.concatenate([_sure([0], 0.95), _sure([1], 0.6)])
    figures = measure(probabilities, np.array([0, 0]), LABELS, 0.8)
    assert figures.abstained_ratio == pytest.approx(0.5)
    assert figures.answered_accuracy_ratio == pytest.approx(1.0)
    assert figures.accuracy_ratio == pytest.approx(0.5)


def test_a_figure_without_images_is_not_defined() -> None:
    assert measure(_sure([0]), np.array([0]), LABELS, 0.99).malignant_recall_ratio is None
    assert measure(_sure([0]), np.array([0]), LABELS, 0.99).answered_accuracy_ratio is None


def test_confidence_that_matches_accuracy_has_no_calibration_error() -> None:
    right = np.array([True] * 9 + [False])
    assert expected_calibration_error(np.full(10, 0.9), right) == pytest.approx(0.0, abs=1e-9)
    assert expected_calibration_error(np.full(10, 0.5), right) == pytest.approx(0.4)
    assert expected_calibration_error(np.ones(10), np.zeros(10, bool)) == pytest.approx(1.0)
