"""Measures how much a run of single-cell images makes every cell look like a blast, by the run's own neutrophils.

Another stain, lens or scale moves the blast's log-odds of all cells of a laboratory. Neutrophils are told from the
other types by their form, and none of them is a blast: if they look like blasts, the laboratory is the cause.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edge_agent.analysis.reading import Reading

NEUTROPHIL = "neutrophil"
"""Code of the label."""

MIN_NEUTROPHILS_COUNT = 5
"""The fewest neutrophils to measure by."""

MIN_NEUTROPHIL_RATIO = 0.7
"""A cell counts as a neutrophil if this is its probability of being one, provided it is not a blast."""

MAX_BLAST_RATIO = 0.01
"""The offset leaves the median neutrophil of a run this probability of being a blast at most. In laboratories that a
bundle was not trained on, the median was mostly 0.1 to 0.5 %."""

_LEAST_RATIO = 1e-6
"""Messages are rounded to this."""


@dataclass(frozen=True, slots=True)
class BlastOffset:
    """The offset that is added to the blast's log-odds of each cell of a run."""

    log_odds: float = 0.0
    """Never above 0: a laboratory never makes a cell more of a blast."""
    neutrophils_count: int = 0
    """Neutrophils that the offset was measured by."""

    def describe(self) -> str | None:
        """One line for a terminal; None where nothing is changed."""
        if not self.log_odds:
            return None
        return (
            f"Blasts: {self.neutrophils_count} neutrophils of these images look too much like blasts, so the odds of a "
            f"blast are divided by {math.exp(-self.log_odds):.2g} for every cell."
        )


NO_OFFSET = BlastOffset()


def measure_blast_offset(readings: Iterable[Reading]) -> BlastOffset:
    """The offset of the run from which these readings of single cells come. They must have been made without an offset.

    It is never above 0, and 0 without enough neutrophils. Cells without a type do not count.
    """
    found = [log_odds for each in readings if (log_odds := _of_neutrophil(each)) is not None]
    if len(found) < MIN_NEUTROPHILS_COUNT:
        return NO_OFFSET
    offset = _logit(MAX_BLAST_RATIO) - float(np.median(found))
    return BlastOffset(offset, len(found)) if offset < 0 else NO_OFFSET


def _of_neutrophil(reading: Reading) -> float | None:
    """The blast's log-odds of a cell that would be a neutrophil if it were not a blast; None for any other cell."""
    probabilities = reading.probabilities
    if not probabilities:
        return None
    # The first label is the blast.
    blast = probabilities[reading.labels[0].code]
    neutrophil = probabilities.get(NEUTROPHIL, 0.0)
    if neutrophil == 0 or neutrophil < MIN_NEUTROPHIL_RATIO * (1 - blast):
        return None
    return _logit(min(max(blast, _LEAST_RATIO), 1 - _LEAST_RATIO))


def _logit(ratio: float) -> float:
    return math.log(ratio / (1 - ratio))
