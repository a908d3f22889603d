"""Made-up answers of a bundle for cells."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.cells.laboratories.sources import TYPES, Meaning
from trainer.many_laboratories.judged import Judged, JudgedCell

LABELS = tuple(each.value for each in TYPES)
BLAST = TYPES.index(Meaning.BLAST)


def said(meaning: Meaning, blast_ratio: float, *, group: str | None = None, refusal: str | None = None) -> JudgedCell:
    """A cell that is a blast with this probability, otherwise a lymphocyte."""
    probabilities = [0.0] * len(TYPES)
    probabilities[BLAST] = blast_ratio
    probabilities[TYPES.index(Meaning.LYMPHOCYTE)] = 1 - blast_ratio
    label = LABELS[max(range(len(TYPES)), key=probabilities.__getitem__)]
    return JudgedCell(
        path="x.png",
        meaning=meaning,
        group=group,
        type=None if refusal else label,
        refusal=refusal,
        probabilities=tuple(probabilities),
        blast_ratio=blast_ratio,
        unfamiliarity_score=1.0,
    )


def judged(cells: Sequence[JudgedCell], laboratory: str = "north", part: str = "test") -> Judged:
    """The judged cells of a laboratory."""
    return Judged(
        laboratory=laboratory,
        part=part,
        model=None,
        scale="Scale: each image shows 32 um, as is usual; no image shows a nucleus.",
        side_um=32.0,
        labels=LABELS,
        cells=tuple(cells),
    )
