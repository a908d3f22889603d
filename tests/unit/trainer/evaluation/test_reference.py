"""A bundle's scores for images that had no part in training."""

from __future__ import annotations

import pytest

from trainer.evaluation.reference import summarise


def test_percentiles_of_unfamiliarity_are_of_all_and_those_of_confidence_of_the_familiar() -> None:
    found = summarise([*(10 + i / 100 for i in range(100)), 90.0], [0.9 + i / 1000 for i in range(100)])
    assert found is not None
    assert found.images_count == 101
    assert found.unfamiliarity_score.median == pytest.approx(10.5)
    assert found.unfamiliarity_score.images_count == 101
    assert found.confidence_ratio is not None
    assert found.confidence_ratio.low == pytest.approx(0.901, abs=1e-4)
    assert found.confidence_ratio.images_count == 100


@pytest.mark.parametrize("confidences", [[0.9999, 0.9999], []])
def test_a_confidence_that_is_the_same_of_all_has_no_range(confidences: list[float]) -> None:
    found = summarise([10.0, 11.0], confidences)
    assert found is not None
    assert found.confidence_ratio is None


@pytest.mark.parametrize("scores", [[], [10.0]])
def test_one_image_is_no_reference(scores: list[float]) -> None:
    assert summarise(scores, [0.9] * len(scores)) is None
