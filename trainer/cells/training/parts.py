"""Divides cells into those for training, validation and test."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.training.options import Apart, CellsOptions
from trainer.data.split import Part
from trainer.errors import DataError, RunError
from trainer.files import replacing

_COLUMNS = ("laboratory", "sha256", "part")

Parts = list[Part]


def assign_parts(cells: Sequence[ListedCell], options: CellsOptions) -> Parts:
    """The part of each cell.

    All cells of a laboratory that is left out are for testing. The part of any other cell depends only on the seed and
    the patient, or the picture's content, so added cells move no others.
    """
    return [_part(each, options) for each in cells]


def _part(cell: ListedCell, options: CellsOptions) -> Part:
    if cell.laboratory == options.leave_out:
        return Part.TEST
    unit = cell.group if options.apart is Apart.PATIENTS and cell.group else cell.sha256
    digest = hashlib.sha256(f"{options.seed} {unit}".encode()).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    test_share = 0.0 if options.leave_out else options.test_share
    if place < test_share:
        return Part.TEST
    return Part.VALIDATION if place < test_share + options.validation_share else Part.TRAIN


def write_parts(path: Path, cells: Sequence[ListedCell], parts: Parts) -> None:
    """Write the part of each cell as CSV. Raises ``OutputUnwritable``."""
    with replacing(path) as file:
        file.write(parts_csv(cells, parts))


def parts_csv(cells: Sequence[ListedCell], parts: Parts) -> bytes:
    """What ``write_parts`` writes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((cell.laboratory, cell.sha256, part) for cell, part in zip(cells, parts, strict=True))
    return text.getvalue().encode()


def read_parts(path: Path, cells: Sequence[ListedCell]) -> Parts:
    """The part of each of ``cells``, from a file that ``write_parts`` wrote.

    Raises ``RunError`` for a file that is missing or damaged, ``DataError`` if it lacks one of the cells.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        parts = {(row["laboratory"], row["sha256"]): Part(row["part"]) for row in rows}
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, csv.Error) as error:
        raise RunError(f"{path} is damaged: {error}.") from error
    missing = [cell for cell in cells if (cell.laboratory, cell.sha256) not in parts]
    if missing:
        raise DataError(
            f"{len(missing)} cells, such as {missing[0].path}, were not there when {path.parent} was trained.",
            remedy="Give the data folder that it was trained with.",
        )
    return [parts[cell.laboratory, cell.sha256] for cell in cells]
