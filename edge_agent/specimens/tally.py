"""Counts the readings of a slide."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from pydantic import Field
from uuid_utils.compat import uuid7

from edge_agent import __version__
from edge_agent.catalogue import catalogue
from edge_agent.contracts import (
    Label,
    LabelShare,
    ModelIdentity,
    Outcome,
    Report,
    Result,
    SlideScale,
    Specimen,
    SpecimenField,
    Topics,
)
from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.specimens.cell_tally import MODELS_MAX, CellTally
from edge_agent.specimens.shares import share_of_fields
from edge_agent.specimens.statement import statement
from edge_agent.specimens.tallied_labels import TalliedLabel, with_labels, with_nameless

JUDGED = frozenset({Outcome.CLASSIFIED, Outcome.ABSTAINED})
"""Outcomes of a field that was fit to be judged."""


class Tally(Contract):
    """The counts of a slide so far. Immutable: counting a reading returns a new one.

    Every key but the first two may be missing: an older release wrote fewer of them.
    """

    specimen: Specimen
    began_at: UtcTime
    wished_fields_count: int | None = None
    readings_count: int = 0
    """Including repeated fields."""
    judged_count: int = 0
    """Different fields that were classified or abstained from, for comparison with ``wished_fields_count``."""
    repeated_count: int = 0
    outcomes_count: dict[str, int] = Field(default_factory=dict)
    reasons_count: dict[str, int] = Field(default_factory=dict)
    labels_count: dict[str, int] = Field(default_factory=dict)
    malignant_count: int = 0
    models: tuple[ModelIdentity, ...] = ()
    labels: tuple[TalliedLabel, ...] = ()
    cells: CellTally | None = None
    """None as long as no model judged single cells."""
    scale: SlideScale | None = None
    demonstration: bool = False
    provisional: bool = False

    @classmethod
    def restore(cls, entry: bytes) -> Self:
        """Restore the state entry that ``to_json`` made, in this release or an older one. Raises ``ValueError``."""
        found = cls.model_validate_json(entry)
        if found.judged_count or not JUDGED & found.outcomes_count.keys():
            return found
        return found.model_copy(update={"judged_count": sum(found.outcomes_count.get(each, 0) for each in JUDGED)})

    def next_field(self, *, repeats: int | None = None) -> SpecimenField:
        """The place of the next reading, whose field was counted before by the reading number ``repeats``."""
        return SpecimenField(
            id=self.specimen.id, slide=self.specimen.slide, field=self.readings_count + 1, repeats_field=repeats
        )

    def counting(self, result: Result, labels: Iterable[Label] = (), types: Iterable[Label] = ()) -> Self:
        """A new tally with one more reading. ``labels`` are those of its model, ``types`` those of its cells' model."""
        read = {"readings_count": self.readings_count + 1}
        if result.specimen is not None and result.specimen.repeats_field is not None:
            return self.model_copy(update={**read, "repeated_count": self.repeated_count + 1})
        reason = result.reason or (result.error.code if result.error is not None else None)
        judged = result.outcome in JUDGED
        return self.model_copy(
            update={
                **read,
                "judged_count": self.judged_count + judged,
                "outcomes_count": _one_more(self.outcomes_count, result.outcome),
                "reasons_count": _one_more(self.reasons_count, reason),
                "labels_count": _one_more(self.labels_count, result.label),
                "malignant_count": self.malignant_count + (result.malignant is True),
                "models": self.models if result.model in self.models else (*self.models, result.model),
                "labels": with_labels(self.labels, labels),
                "cells": self._with_cells(result, types) if judged else self.cells,
                "scale": (_scale(result) if judged else None) or self.scale,
                "demonstration": self.demonstration or result.demonstration,
                "provisional": self.provisional or result.provisional,
            }
        )

    def report(self, *, topics: Topics, session: UUID, model: ModelIdentity) -> Report:
        """The slide's report; ``model`` is the current one, for a slide without readings."""
        classified = self.outcomes_count.get(Outcome.CLASSIFIED, 0)
        figures = Report(
            demonstration=self.demonstration,
            provisional=self.provisional,
            id=uuid7(),
            site=topics.site,
            device=topics.device,
            session=session,
            specimen=self.specimen,
            began_at=self.began_at,
            finished_at=datetime.now(UTC),
            wished_fields_count=self.wished_fields_count,
            readings_count=self.readings_count,
            judged_count=self.judged_count,
            repeated_count=self.repeated_count,
            outcomes_count=self.outcomes_count,
            reasons_count=self.reasons_count,
            labels_count=self.labels_count,
            malignant_count=self.malignant_count,
            labels=tuple(self._label_shares(classified)),
            malignant=share_of_fields(self.malignant_count, classified),
            differential=None if self.cells is None else self.cells.differential(),
            model=self.models[-1] if self.models else model,
            models=self.models[-MODELS_MAX:] or (model,),
            models_count=max(1, len(self.models)),
            software=f"leukoscope {__version__}",
            scale=self.scale,
        )
        return figures.model_copy(update={"statement": statement(figures, catalogue())})

    def _with_cells(self, result: Result, types: Iterable[Label]) -> CellTally | None:
        if result.differential is None:
            return self.cells
        return (self.cells or CellTally()).adding(result.differential, types)

    def _label_shares(self, classified: int) -> Iterable[LabelShare]:
        # An older release may have begun the slide without keeping the names of the counted labels.
        for each in with_nameless(self.labels, self.labels_count):
            share = share_of_fields(self.labels_count.get(each.label, 0), classified)
            yield LabelShare(**each.model_dump(), **share.model_dump())


def _scale(result: Result) -> SlideScale | None:
    scale = result.scale
    if scale is None or scale.um_per_pixel is None:
        return None
    return SlideScale(source=scale.source, um_per_pixel=scale.um_per_pixel)


def _one_more(counts: dict[str, int], key: str | None) -> dict[str, int]:
    return counts if key is None else {**counts, str(key): counts.get(key, 0) + 1}
