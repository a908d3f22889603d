"""Counts the cells of a slide by their types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import Field

from edge_agent.contracts import CellTypeShare, Differential, Label, ModelIdentity, SlideDifferential
from edge_agent.contracts.base import Contract
from edge_agent.specimens.shares import share_of_cells
from edge_agent.specimens.tallied_labels import TalliedLabel, with_labels, with_nameless

MODELS_MAX = 32
"""A report names this many of the last models, so that it never outgrows a message."""


class CellTally(Contract):
    """The counts of a slide's cells so far. Immutable: adding a field returns a new one."""

    fields_count: int = 0
    cells_count: int = 0
    judged_count: int = 0
    refused_count: int = 0
    types_count: dict[str, int] = Field(default_factory=dict)
    blasts_count: int = 0
    types: tuple[TalliedLabel, ...] = ()
    models: tuple[ModelIdentity, ...] = ()
    demonstration: bool = False
    provisional: bool = False

    def adding(self, field: Differential, types: Iterable[Label] = ()) -> Self:
        """A new tally with the cells of one more field. ``types`` are those of the model that judged them."""
        counted = dict(self.types_count)
        for code, count in field.types_count.items():
            counted[code] = counted.get(code, 0) + count
        return self.model_copy(
            update={
                "fields_count": self.fields_count + 1,
                "cells_count": self.cells_count + field.cells_count,
                "judged_count": self.judged_count + field.judged_count,
                "refused_count": self.refused_count + field.refused_count,
                "types_count": counted,
                "blasts_count": self.blasts_count + field.blasts_count,
                "types": with_labels(self.types, types),
                "models": self.models if field.model in self.models else (*self.models, field.model),
                "demonstration": self.demonstration or field.demonstration,
                "provisional": self.provisional or field.provisional,
            }
        )

    def differential(self) -> SlideDifferential:
        """The counts as shares of the judged cells."""
        return SlideDifferential(
            demonstration=self.demonstration,
            provisional=self.provisional,
            fields_count=self.fields_count,
            cells_count=self.cells_count,
            judged_count=self.judged_count,
            refused_count=self.refused_count,
            types=tuple(self._shares()),
            blasts=share_of_cells(self.blasts_count, self.judged_count),
            models=self.models[-MODELS_MAX:],
            models_count=max(1, len(self.models)),
        )

    def _shares(self) -> Iterable[CellTypeShare]:
        for each in with_nameless(self.types, self.types_count):
            share = share_of_cells(self.types_count.get(each.label, 0), self.judged_count)
            yield CellTypeShare(type=each.label, name=each.name, malignant=each.malignant, **share.model_dump())
