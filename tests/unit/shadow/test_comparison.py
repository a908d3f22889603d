"""What counts as agreement of two models."""

from __future__ import annotations

import pytest

from edge_agent.contracts import Label, Outcome, Reason
from edge_agent.intervals import wilson_interval
from edge_agent.shadow.comparison import Comparison, percentiles
from tests.unit.shadow.readings import reading

UNFAMILIAR = reading(Outcome.ABSTAINED, reason=Reason.UNFAMILIAR)
UNSURE = reading(Outcome.ABSTAINED, reason=Reason.LOW_CONFIDENCE)
EMPTY = reading(Outcome.REJECTED, reason=Reason.EMPTY_FIELD)
OTHERS = tuple(Label(code=code, display_name=code, meaning=code, malignant=False) for code in ("a", "b"))


@pytest.mark.parametrize(
    ("active", "candidate", "agrees"),
    [
        (reading(), reading(), True),
        (reading(), reading(label="pre-b"), False),
        (reading(), UNFAMILIAR, False),
        (UNFAMILIAR, reading(), False),
        # Both give no label; the reasons are counted, not compared.
        (UNFAMILIAR, UNSURE, True),
        (reading(), EMPTY, False),
        (EMPTY, reading(), False),
        # Different labels cannot be compared, but whether there is a label can.
        (reading(), reading(label="a", labels=OTHERS), True),
        (EMPTY, EMPTY, None),
    ],
)
def test_two_agree_in_the_outcome_and_in_labels_that_can_be_compared(
    active: object, candidate: object, agrees: bool | None
) -> None:
    comparison = Comparison()
    assert comparison.add(active, candidate) is agrees  # type: ignore[arg-type]  # readings
    figures = comparison.figures()
    assert figures.compared_count == (0 if agrees is None else 1)
    assert figures.unfit_count == (1 if agrees is None else 0)
    assert figures.agreeing_count == (1 if agrees else 0)


def test_figures_say_who_refused_why_and_how_sure_the_agreement_is() -> None:
    comparison = Comparison()
    for active, candidate in (
        (reading(), reading()),
        (reading(), reading(label="pre-b")),
        (reading(), UNSURE),
        (UNFAMILIAR, UNFAMILIAR),
        (EMPTY, EMPTY),
    ):
        comparison.add(active, candidate)
    figures = comparison.figures()
    assert (figures.compared_count, figures.agreeing_count, figures.agreement_ratio) == (4, 2, 0.5)
    low, high = wilson_interval(2, 4)
    assert (figures.agreement_low_ratio, figures.agreement_high_ratio) == (round(low, 4), round(high, 4))
    assert (figures.both_classified_count, figures.other_label_count, figures.labels_comparable) == (2, 1, True)
    assert figures.active_refusals_count == {"unfamiliar": 1}
    assert figures.candidate_refusals_count == {"low_confidence": 1, "unfamiliar": 1}
    assert (figures.active_refused_count, figures.candidate_refused_count) == (1, 2)


def test_before_the_first_field_nothing_is_claimed() -> None:
    figures = Comparison().figures()
    assert figures.agreement_ratio is None
    assert (figures.agreement_low_ratio, figures.agreement_high_ratio) == (0, 1)
    assert figures.labels_comparable is None
    assert percentiles([]) is None
