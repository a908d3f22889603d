"""From probabilities to an outcome."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import Decision, Outcome, Reason
from edge_agent.contracts.manifest import Thresholds

RULE = "max-probability@1"


def decide(probabilities: NDArray[np.float64], thresholds: Thresholds) -> tuple[Outcome, Reason | None, Decision]:
    """Classify if the likeliest class is likely enough, abstain otherwise (C. K. Chow's reject rule, 1970)."""
    confidence = float(probabilities.max())
    decision = Decision(
        rule=RULE,
        min_confidence_ratio=thresholds.min_confidence_ratio,
        confidence_ratio=min(1.0, round(confidence, 6)),
    )
    if confidence < thresholds.min_confidence_ratio:
        return Outcome.ABSTAINED, Reason.LOW_CONFIDENCE, decision
    return Outcome.CLASSIFIED, None, decision
