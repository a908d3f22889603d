from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainer.training.temperature import TEMPERATURE_RANGE, fit_temperature
from trainer.training.thresholds import (
    CLEAN_UNFAMILIAR_SHARE,
    CLEAN_UNSURE_SHARE,
    SHIFTED_UNFAMILIAR_SHARE,
    SHIFTED_UNSURE_SHARE,
    choose_threshold,
    choose_unfamiliarity_limit,
)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (20_000, 4))
    noise = rng.gumbel(size=logits.shape)
    labels = (logits / temperature + noise).argmax(axis=1)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_stays_bounded_where_all_are_right() -> None:
    logits = 5 * np.eye(4)
    assert TEMPERATURE_RANGE[0] <= fit_temperature(logits, np.arange(4)) <= TEMPERATURE_RANGE[1]


CONFIDENCES = arrays(np.float64, st.integers(1, 400), elements=st.floats(0.25, 1))


@given(CONFIDENCES, CONFIDENCES)
def test_no_more_than_the_stated_shares_are_unsure(clean: np.ndarray, shifted: np.ndarray) -> None:
    threshold = choose_threshold(clean, shifted)
    assert (clean < threshold).mean() <= CLEAN_UNSURE_SHARE
    assert (shifted < threshold).mean() <= SHIFTED_UNSURE_SHARE
    assert 0 <= threshold <= 1


def test_the_threshold_is_the_highest_that_keeps_both_shares() -> None:
    confidences = np.linspace(0.5, 1, 1000)
    clean_decides = choose_threshold(confidences, confidences + 1)
    assert (confidences < clean_decides).sum() == 4
    assert (confidences < np.nextafter(clean_decides, 2)).sum() == 5
    shifted_decide = choose_threshold(confidences + 1, confidences)
    assert (confidences < shifted_decide).sum() == 25


@given(
    arrays(np.float32, st.integers(1, 400), elements=st.floats(1, 100, width=32)),
    arrays(np.float32, st.integers(1, 400), elements=st.floats(1, 100, width=32)),
)
def test_no_more_than_the_stated_shares_are_unfamiliar(clean: np.ndarray, shifted: np.ndarray) -> None:
    limit = choose_unfamiliarity_limit(clean, shifted)
    assert (clean > limit).mean() <= CLEAN_UNFAMILIAR_SHARE
    assert (shifted > limit).mean() <= SHIFTED_UNFAMILIAR_SHARE


def test_the_limit_of_unfamiliarity_is_the_lowest_that_keeps_both_shares() -> None:
    scores = np.arange(1.0, 1001.0)
    clean_decides = choose_unfamiliarity_limit(scores, scores - 500)
    assert (scores > clean_decides).sum() == 6
    shifted_decide = choose_unfamiliarity_limit(scores - 500, scores)
    assert (scores > shifted_decide).sum() == 12
