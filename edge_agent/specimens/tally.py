"""Counts the readings of a slide."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from pydantic import Field
from uuid_utils.compat import uuid7

from edge_agent.contracts import ModelIdentity, Report, Result, Specimen, SpecimenField
from edge_agent.contracts.base import Contract, UtcTime


class Tally(Contract):
    """The counts of a slide so far. Immutable: counting a reading returns a new one."""

    specimen: Specimen
    began_at: UtcTime
    readings_count: int = 0
    outcomes_count: dict[str, int] = Field(default_factory=dict)
    reasons_count: dict[str, int] = Field(default_factory=dict)
    labels_count: dict[str, int] = Field(default_factory=dict)
    malignant_count: int = 0
    models: tuple[ModelIdentity, ...] = ()
    demonstration: bool = False
    provisional: bool = False

    @property
    def next_field(self) -> SpecimenField:
        """The place of the next reading."""
        return SpecimenField(id=self.specimen.id, slide=self.specimen.slide, field=self.readings_count + 1)

    def counting(self, result: Result) -> Self:
        """A new tally with one more reading."""
        reason = result.reason or (result.error.code if result.error is not None else None)
        return self.model_copy(
            update={
                "readings_count": self.readings_count + 1,
                "outcomes_count": _one_more(self.outcomes_count, result.outcome),
                "reasons_count": _one_more(self.reasons_count, reason),
                "labels_count": _one_more(self.labels_count, result.label),
                "malignant_count": self.malignant_count + (result.malignant is True),
                "models": self.models if result.model in self.models else (*self.models, result.model),
                "demonstration": self.demonstration or result.demonstration,
                "provisional": self.provisional or result.provisional,
            }
        )

    def report(self, *, device: str, session: UUID, model: ModelIdentity) -> Report:
        """The slide's report; ``model`` is the current one, for a slide without readings."""
        return Report(
            demonstration=self.demonstration,
            provisional=self.provisional,
            id=uuid7(),
            device=device,
            session=session,
            specimen=self.specimen,
            began_at=self.began_at,
            finished_at=datetime.now(UTC),
            readings_count=self.readings_count,
            outcomes_count=self.outcomes_count,
            reasons_count=self.reasons_count,
            labels_count=self.labels_count,
            malignant_count=self.malignant_count,
            model=self.models[-1] if self.models else model,
            models_count=max(1, len(self.models)),
        )


def _one_more(counts: dict[str, int], key: str | None) -> dict[str, int]:
    return counts if key is None else {**counts, str(key): counts.get(key, 0) + 1}
