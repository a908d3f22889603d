"""The judgement of a cells bundle on one cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import Decision, Label, Reason


@dataclass(frozen=True, slots=True, eq=False)
class CellJudgement:
    """Either a type or the reason why there is none."""

    refusal: Reason | None
    label: Label | None = None
    """The type; None if the cell was refused."""
    type_ratio: float | None = None
    """Probability of the type; None if the cell was refused."""
    probabilities: NDArray[np.float64] | None = None
    """(types,); None if the network did not see the cell, or its probabilities would mean nothing."""
    blast_ratio: float | None = None
    """Summed probability of the malignant types; None if ``probabilities`` is None."""
    decision: Decision | None = None
    """The figures behind the decision; None if the network did not see the cell."""
    accelerator: str | None = None
    """The accelerator that ran the network; None for the processor."""
