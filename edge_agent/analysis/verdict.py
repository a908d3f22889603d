"""The decision about a field, by its bundle or by its cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import Decision, Label, Outcome, Reason


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The outcome, and the figures behind it. They have the meaning that ``contracts.Result`` gives them."""

    outcome: Outcome
    reason: Reason | None
    decision: Decision | None
    label: Label | None = None
    """The label of a classified field."""
    probabilities: dict[str, float] | None = None
    malignant_ratio: float | None = None
    class_activation_map: NDArray[np.float32] | None = None
    """(rows, columns, classes); None if the probabilities are None, and if cells decide."""
    accelerator: str | None = None
    """The accelerator that ran the network; None for the processor."""
