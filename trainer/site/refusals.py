"""Counts the frames that the device would refuse with the head: the site's own held-out ones, and those of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import Field

from edge_agent.contracts import Reason
from edge_agent.intervals import wilson_interval
from edge_agent.settings import Settings
from trainer.evaluation.foreign import ForeignFigures
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples
from trainer.site.features import SiteFeatures

OWN = "the site's own"


class Refusals(Settings):
    """How many of a set of pictures would be refused."""

    name: str = Field(description="Folder of the pictures, or the site's own.")
    images_count: int = Field(description="Those that could be read.")
    unreadable_count: int
    refused_count: int
    refused_ratio: float
    refused_interval_ratio: tuple[float, float] = Field(description="95 % Wilson interval.")
    reasons: dict[str, int] = Field(description="How many were refused, by reason, the commonest first.")


def own_refusals(examples: Examples, features: SiteFeatures, validation: CrossValidation) -> Refusals:
    """Refusals of the site's own pictures, each by the fold fitted without it, in the agent's order of tests."""
    reasons: list[str | None] = []
    confident = validation.probabilities.max(axis=1) >= validation.min_confidence_ratio
    for rejected, unfamiliar, sure in zip(features.reasons, validation.unfamiliar, confident, strict=True):
        if rejected is not None:
            reasons.append(rejected)
        elif unfamiliar:
            reasons.append(Reason.UNFAMILIAR.value)
        else:
            reasons.append(None if sure else Reason.LOW_CONFIDENCE.value)
    return _count(OWN, reasons, len(examples.unreadable))


def foreign_refusals(measured: Sequence[ForeignFigures]) -> tuple[Refusals, ...]:
    """Refusals of sets that must be refused, as the agent's own analyzer refused them."""
    return tuple(
        _count(
            each.folder,
            [
                *(reason for reason, count in each.refusals.items() for _ in range(count)),
                *[None] * sum(each.answered_labels.values()),
            ],
            len(each.unreadable),
        )
        for each in measured
    )


def _count(name: str, reasons: Iterable[str | None], unreadable_count: int) -> Refusals:
    each = list(reasons)
    counted = Counter(reason for reason in each if reason is not None)
    refused = counted.total()
    low, high = wilson_interval(refused, len(each))
    return Refusals(
        name=name,
        images_count=len(each),
        unreadable_count=unreadable_count,
        refused_count=refused,
        refused_ratio=refused / max(1, len(each)),
        refused_interval_ratio=(low, high),
        reasons=dict(counted.most_common()),
    )
