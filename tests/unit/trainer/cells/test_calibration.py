"""The temperature of a cells bundle, from the types that each cell may be."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.inference.probabilities import blast_first
from tests.unit.trainer.cells.drawn_cells import listed
from trainer.cells.bundling.calibration import fit_cells_temperature, possible_types
from trainer.cells.laboratories.sources import TYPES, Meaning


def test_a_cell_may_be_its_type_or_if_that_is_not_known_any_but_a_blast() -> None:
    assert possible_types(listed("north", Meaning.MONOCYTE)).tolist() == [each is Meaning.MONOCYTE for each in TYPES]
    assert possible_types(listed("north", Meaning.NOT_BLAST)).tolist() == [False] + [True] * 8


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_answers_were_drawn_with_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2 * temperature, (4000, 9))
    drawn = [rng.choice(9, p=each) for each in blast_first(logits, temperature)]
    possible = np.eye(9, dtype=bool)[drawn]
    # A third of the others are only known not to be blasts.
    unknown = (possible[:, 0] == 0) & (rng.random(4000) < 0.3)
    possible[unknown] = [False] + [True] * 8
    assert fit_cells_temperature(logits, possible) == pytest.approx(temperature, rel=0.1)
