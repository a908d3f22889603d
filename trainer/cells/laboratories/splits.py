"""Divides cells: validation and test halves with patients on one side, and one laboratory left out at a time."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import Sources, Use
from trainer.errors import DataError


class Half(StrEnum):
    """The use of a cell of a laboratory that was not trained with."""

    VALIDATION = "validation"
    """Used for making choices."""
    TEST = "test"
    """Used for the figures, once."""


_HALVES = tuple(Half)


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A laboratory left out, with positions in the list of cells, int64 (n,), in rising order."""

    laboratory: str
    training: NDArray[np.int64]
    """Nucleated cells of all other laboratories for training."""
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def assign_halves(cells: Sequence[ListedCell]) -> list[Half]:
    """The half of each cell: a patient's cells are in one half, and so are pictures of the same content.

    The half depends only on a patient's name or a picture's content, so added cells move no others. If one half of a
    laboratory would then have no blast, or nothing else, although there are enough patients, they alternate between the
    halves: so give all cells of a laboratory, and choose among them afterwards.
    """
    units: defaultdict[str, defaultdict[str, set[bool]]] = defaultdict(lambda: defaultdict(set))
    for cell in cells:
        units[cell.laboratory][_unit(cell)].add(cell.is_blast is True)
    halves = {code: _halve(of_laboratory) for code, of_laboratory in units.items()}
    return [halves[cell.laboratory][_unit(cell)] for cell in cells]


def leave_one_out(cells: Sequence[ListedCell], sources: Sources) -> Iterator[Fold]:
    """A fold for each laboratory for training that has cells: the others are trained with, its own halves are judged.

    Laboratories for testing are never trained with. Raises ``DataError`` if fewer than two are for training.
    """
    for_training = {each.code for each in sources.laboratories if each.use is Use.TRAINING}
    laboratories = np.array([cell.laboratory for cell in cells], str)
    trainable = np.array([cell.is_nucleated and cell.laboratory in for_training for cell in cells], bool)
    halves = np.array(assign_halves(cells), str)
    present = [each.code for each in sources.laboratories if bool((trainable & (laboratories == each.code)).any())]
    if len(present) < 2:
        raise DataError(
            f"cells of {' and '.join(present) or 'no laboratory'} are there to train with; to leave one out takes two.",
            remedy="Name more laboratories.",
        )
    for code in present:
        own = laboratories == code
        yield Fold(
            code,
            np.flatnonzero(trainable & ~own),
            np.flatnonzero(own & (halves == Half.VALIDATION)),
            np.flatnonzero(own & (halves == Half.TEST)),
        )


def sampling_weights(
    cells: Sequence[ListedCell], *, type_power: float = 0.5, laboratory_power: float = 0.5
) -> NDArray[np.float64]:
    """How often each cell is drawn: float64 (n,), sum 1.

    A type within a laboratory, and then a laboratory, is drawn as often as its size to the power of 1 minus its power:
    0 draws all cells equally often, 1 all types (laboratories), and one half is between.
    """
    counts = Counter((cell.laboratory, cell.meaning) for cell in cells)
    weights = np.array([counts[cell.laboratory, cell.meaning] ** -type_power for cell in cells], np.float64)
    laboratories = np.array([cell.laboratory for cell in cells], str)
    for code in np.unique(laboratories):
        own = laboratories == code
        weights[own] *= weights[own].sum() ** -laboratory_power
    return weights / weights.sum() if len(weights) else weights


def _unit(cell: ListedCell) -> str:
    """The patient or the picture's content, which must not be on both sides."""
    return cell.group or cell.sha256


def _halve(units: dict[str, set[bool]]) -> dict[str, Half]:
    """The half of each unit; ``units`` says for each whether it has blasts, others, or both."""
    digests = {unit: hashlib.sha1(unit.encode(), usedforsecurity=False).digest() for unit in units}
    by_name = {unit: _HALVES[digest[-1] % 2] for unit, digest in digests.items()}
    for kind in (True, False):
        having = [unit for unit, kinds in units.items() if kind in kinds]
        if len(having) > 1 and len({by_name[unit] for unit in having}) == 1:
            ordered = sorted(units, key=lambda unit: (sorted(units[unit]), digests[unit]))
            return {unit: _HALVES[position % 2] for position, unit in enumerate(ordered)}
    return by_name
