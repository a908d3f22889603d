"""Chooses the cells of a laboratory that are judged: a half of it, or the part of a training's own split."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from trainer.cells.listing import ListedCell
from trainer.cells.splits import assign_halves
from trainer.errors import DataError


class JudgedPart(StrEnum):
    """Which cells of a laboratory are judged."""

    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


def choose_cells(
    cells: Sequence[ListedCell], part: JudgedPart, split: Mapping[str, str] | None = None
) -> list[ListedCell]:
    """The ``part`` of all the ``cells`` of a laboratory: of its halves, or of ``split``, a part by picture's SHA-256.

    What is no cell was in no training, so it is in every part. Raises ``DataError`` if nothing is left.
    """
    if part is JudgedPart.ALL:
        chosen = list(cells)
    elif split is None:
        halves = assign_halves(cells)
        chosen = [each for each, half in zip(cells, halves, strict=True) if half.value == part or not each.is_nucleated]
    else:
        chosen = [each for each in cells if split.get(each.sha256) == part or not each.is_nucleated]
    if not any(each.is_nucleated for each in chosen):
        raise DataError(f"no cell is in the part '{part}'.", remedy="Name another --part or --split.")
    return chosen


def read_split(path: Path) -> dict[str, str]:
    """The part of each picture by its SHA-256, as a training wrote it: a CSV with the columns sha256 and part.

    Raises ``DataError``.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if missing := sorted({"sha256", "part"} - set(reader.fieldnames or ())):
                raise DataError(f"{path} has no column {' or '.join(missing)}.", remedy="Name a training's own split.")
            return {row["sha256"]: row["part"] for row in reader}
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", remedy="Name a training's own split.") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file: {error}.", remedy="Name a training's own split.") from error
