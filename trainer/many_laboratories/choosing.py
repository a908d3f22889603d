"""Chooses the cells of a laboratory that are judged: a half of it, or the part of a training's own split."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.splits import assign_halves
from trainer.cells.training.parts import read_parts
from trainer.data.split import Part
from trainer.errors import DataError


class JudgedPart(StrEnum):
    """Which cells of a laboratory are judged."""

    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


_PARTS = {JudgedPart.VALIDATION: Part.VALIDATION, JudgedPart.TEST: Part.TEST}


def choose_cells(cells: Sequence[ListedCell], part: JudgedPart, split: Path | None = None) -> list[ListedCell]:
    """The ``part`` of all the ``cells`` of a laboratory: by its halves, or by a training's ``cells.csv``.

    Pictures of no cell have no part in a training, but the limits of a bundle may have been fitted to their validation
    half, so they are divided into halves in either case. Raises ``DataError`` if no cell is left, and as ``read_parts``
    does.
    """
    nucleated = [each for each in cells if each.is_nucleated]
    others = [each for each in cells if not each.is_nucleated]
    if part is JudgedPart.ALL:
        chosen = nucleated
    elif split is None:
        halves = zip(cells, assign_halves(cells), strict=True)
        chosen = [each for each, half in halves if half.value == part and each.is_nucleated]
    else:
        chosen = in_part(nucleated, _PARTS[part], split)
    if not chosen:
        raise DataError(f"no cell is in the part '{part}'.", remedy="Name another --part or --split.")
    of_others = zip(others, assign_halves(others), strict=True)
    return [*chosen, *(each for each, half in of_others if part in {JudgedPart.ALL, half.value})]


def in_part(cells: Sequence[ListedCell], part: Part, split: Path) -> list[ListedCell]:
    """The nucleated cells among ``cells`` that are in that part of a training. Raises as ``read_parts`` does."""
    nucleated = [each for each in cells if each.is_nucleated]
    return [each for each, found in zip(nucleated, read_parts(split, nucleated), strict=True) if found is part]
