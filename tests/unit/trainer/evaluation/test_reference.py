"""What a bundle says of images that had no part in training."""

from __future__ import annotations

import pytest

from edge_agent.contracts import Decision
from trainer.errors import DataError
from trainer.evaluation.reference import summarise


def decision(score: float, confidence: float | None) -> Decision:
    return Decision(
        rule="test",
        max_unfamiliarity_score=17.0,
        unfamiliarity_score=score,
        min_confidence_ratio=0.87,
        confidence_ratio=confidence,
    )


def test_percentiles_of_unfamiliarity_are_of_all_and_those_of_confidence_of_the_familiar() -> None:
    found = summarise([*(decision(10 + i / 100, 0.9 + i / 1000) for i in range(100)), decision(90.0, None)])
    assert found.images_count == 101
    assert found.unfamiliarity_score.median == pytest.approx(10.5)
    assert found.unfamiliarity_score.images_count == 101
    assert found.confidence_ratio is not None
    assert found.confidence_ratio.low == pytest.approx(0.901, abs=1e-4)
    assert found.confidence_ratio.images_count == 100


def test_a_confidence_that_is_the_same_of_all_has_no_range() -> None:
    assert summarise([decision(10.0, 0.9999), decision(11.0, 0.9999)]).confidence_ratio is None
    assert summarise([decision(10.0, None), decision(11.0, None)]).confidence_ratio is None


@pytest.mark.parametrize("decisions", [[], [decision(10.0, 0.9)]])
def test_one_image_is_no_reference(decisions: list[Decision]) -> None:
    with pytest.raises(DataError, match="had no part"):
        summarise(decisions)
