"""The answers for a laboratory's cells as arrays, in the terms that laboratories share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trainer.cells.laboratories.sources import TYPES, Meaning
from trainer.many_laboratories.judged import Judged

_UNKNOWN = -1


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The answers for n nucleated cells that the network saw."""

    blast_ratio: NDArray[np.float64]
    """(n,)."""
    probabilities: NDArray[np.float64]
    """(n, 9), in the order of ``TYPES``; 0 where the bundle does not know the type."""
    truth: NDArray[np.int64]
    """(n,): the position in ``TYPES``; -1 if it is only known that the cell is not a blast."""

    @classmethod
    def of(cls, judged: Judged) -> Self:
        """The scores of the cells of ``judged`` that have a nucleus and probabilities, in their order."""
        cells = [
            each for each in judged.cells if each.probabilities is not None and each.meaning is not Meaning.NOT_A_CELL
        ]
        said = np.array([each.probabilities for each in cells], np.float64).reshape(-1, len(judged.labels))
        probabilities = np.zeros((len(cells), len(TYPES)))
        for position, code in enumerate(TYPES):
            if code in judged.labels:
                probabilities[:, position] = said[:, judged.labels.index(code)]
        return cls(
            np.array([each.blast_ratio for each in cells], np.float64),
            probabilities,
            np.array([TYPES.index(each.meaning) if each.meaning in TYPES else _UNKNOWN for each in cells], np.int64),
        )

    def among(self, chosen: NDArray[np.bool_]) -> Self:
        """The scores of the ``chosen`` (n,) cells."""
        return type(self)(self.blast_ratio[chosen], self.probabilities[chosen], self.truth[chosen])

    def are(self, meaning: Meaning) -> NDArray[np.bool_]:
        """(n,): whether the cell is known to be of that type."""
        return np.asarray(self.truth == TYPES.index(meaning))
