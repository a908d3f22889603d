"""Decides the outcome from the network's output."""

from __future__ import annotations

from edge_agent.contracts import Decision, Outcome, Reason
from edge_agent.contracts.manifest import Thresholds
from edge_agent.inference.classifier import Classification

RULE = "familiarity+max-probability@1"


def decide(
    classification: Classification, thresholds: Thresholds, *, proven: bool = True
) -> tuple[Outcome, Reason | None, Decision]:
    """Classify if the field is familiar and its most likely class is likely enough; abstain otherwise.

    Returns the outcome, the reason if it is not ``classified``, and the figures that decided.

    An unproven model answers nothing, but still reports an unfamiliar field, which does not depend on its classes.

    Familiarity comes first: the probabilities of an unfamiliar field mean nothing, so its confidence is left out.
    The second test is the reject rule of C. K. Chow, "On optimum recognition error and reject tradeoff", 1970.
    """
    confidence = float(classification.probabilities.max())
    unfamiliar = classification.unfamiliarity_score > thresholds.max_unfamiliarity_score
    decision = Decision(
        rule=RULE,
        max_unfamiliarity_score=thresholds.max_unfamiliarity_score,
        unfamiliarity_score=round(classification.unfamiliarity_score, 3),
        min_confidence_ratio=thresholds.min_confidence_ratio,
        confidence_ratio=min(1.0, round(confidence, 6)) if proven and not unfamiliar else None,
    )
    if unfamiliar:
        return Outcome.ABSTAINED, Reason.UNFAMILIAR, decision
    if not proven:
        return Outcome.ABSTAINED, Reason.MODEL_UNPROVEN, decision
    if confidence < thresholds.min_confidence_ratio:
        return Outcome.ABSTAINED, Reason.LOW_CONFIDENCE, decision
    return Outcome.CLASSIFIED, None, decision
