"""A run's own neutrophils show how much its laboratory makes every cell look like a blast."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analysis.blast_offset import (
    MAX_BLAST_RATIO,
    MIN_NEUTROPHILS_COUNT,
    NO_OFFSET,
    measure_blast_offset,
)
from edge_agent.analysis.reading import Reading
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.contracts import Label, ModelIdentity, Outcome

LABELS = tuple(
    Label(code=code, display_name=code, meaning=code, malignant=code == "blast")
    for code in ("blast", "neutrophil", "lymphocyte")
)
FRAME = frame_now("camera0", Pixels(np.zeros((1, 1, 3), np.uint8), ColourOrder.RGB))
MODEL = ModelIdentity(name="test-cells", version="1.0.0", sha256="0" * 64, preprocessing="rgb@1", runtime="test")


def reading(blast: float, neutrophil: float | None = 0.9) -> Reading:
    """The reading of a cell that is a neutrophil with that probability if no blast; with None, it has no type."""
    typed = neutrophil is not None
    own = (1 - blast) * (neutrophil or 0)
    shares = {"blast": blast, "neutrophil": own, "lymphocyte": 1 - blast - own}
    return Reading(
        FRAME,
        Outcome.CLASSIFIED if typed else Outcome.ABSTAINED,
        MODEL,
        demonstration=True,
        provisional=False,
        latency_ms={},
        probabilities=shares if typed else None,
        labels=LABELS,
    )


def log_odds(ratio: float) -> float:
    return math.log(ratio / (1 - ratio))


def test_neutrophils_that_look_like_blasts_lower_all_blasts_until_the_middle_one_does_not() -> None:
    blasts = (0.2, 0.4, 0.5, 0.6, 0.999)
    found = measure_blast_offset(reading(each) for each in blasts)
    assert found.neutrophils_count == len(blasts)
    assert log_odds(0.5) + found.log_odds == pytest.approx(log_odds(MAX_BLAST_RATIO))
    assert found.describe() == (
        "Blasts: 5 neutrophils of these images look too much like blasts, so the odds of a blast are divided by 99 "
        "for every cell."
    )


@given(st.lists(st.floats(0, 1), max_size=9), st.floats(0, 1))
def test_it_only_ever_lowers(blasts: list[float], neutrophil: float) -> None:
    found = measure_blast_offset(reading(each, neutrophil) for each in blasts)
    assert math.isfinite(found.log_odds)
    assert found.log_odds <= 0
    assert (found == NO_OFFSET) is (found.describe() is None)


@pytest.mark.parametrize(
    "readings",
    [
        [],
        [reading(0.9)] * (MIN_NEUTROPHILS_COUNT - 1),
        [reading(0.004)] * 20,
        [reading(0.9, 0.6)] * 20,
        [reading(1.0, 0.9)] * 20,
        [reading(0.9, None)] * 20,
    ],
    ids=["none", "few", "as-elsewhere", "unsure", "certain-blasts", "refused"],
)
def test_without_neutrophils_that_are_too_much_like_blasts_nothing_changes(readings: list[Reading]) -> None:
    assert measure_blast_offset(readings) == NO_OFFSET


def test_other_cells_have_no_say() -> None:
    run = [*[reading(0.5)] * 5, *[reading(0.999, 0.1)] * 50, *[reading(0.9, None)] * 50]
    found = measure_blast_offset(run)
    assert found.neutrophils_count == 5
    assert found.log_odds == pytest.approx(log_odds(MAX_BLAST_RATIO))
