"""Lists the cells of laboratories: one picture each, with what is known of it."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.cells.laboratories.sources import TYPES, Groups, Laboratory, Meaning, Sources
from trainer.data.dataset import printable
from trainer.errors import DataError
from trainer.progress import track

_SHOWN_PROBLEMS = 20
_COLUMNS = {"path", "label"}


@dataclass(frozen=True, slots=True)
class ListedCell:
    """One picture of one cell."""

    path: Path
    laboratory: str
    meaning: Meaning
    group: str | None
    """The cell's patient, distinct among all laboratories; None if patients are not known."""
    sha256: str
    """SHA-256 of the picture's file."""

    @property
    def type(self) -> Meaning | None:
        """The cell's type, one of ``TYPES``; None if the type is not known, or if this is no nucleated cell."""
        return self.meaning if self.meaning in TYPES else None

    @property
    def is_nucleated(self) -> bool:
        """Whether this is a nucleated cell. Anything else must be refused, and is never trained with."""
        return self.meaning is not Meaning.NOT_A_CELL

    @property
    def is_blast(self) -> bool | None:
        """Whether the cell is a blast; None if this is no nucleated cell."""
        return self.meaning is Meaning.BLAST if self.is_nucleated else None


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row, or its picture, that cannot be read, and why."""

    laboratory: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class CellTable:
    """The cells of laboratories, in the order of the sources and of their manifests."""

    cells: tuple[ListedCell, ...]
    skipped: tuple[SkippedRow, ...] = ()
    left_out_count: int = 0
    """Cells of types that are left out on purpose."""


def list_cells(data: Path, sources: Sources, laboratories: Iterable[str] | None = None) -> CellTable:
    """The cells of ``laboratories`` (by code, all if None) below the folder ``data``.

    A row without a readable picture is skipped. Raises ``DataError`` for a manifest that cannot be read or has no cell
    of the laboratory, and for a class name that the sources do not map: guessing would spoil every figure.
    """
    chosen = sources.laboratories if laboratories is None else tuple(sources.laboratory(code) for code in laboratories)
    cells: list[ListedCell] = []
    skipped: list[SkippedRow] = []
    left_out = 0
    for laboratory in chosen:
        rows = _rows_of(laboratory, data)
        _check_classes(rows, laboratory, sources)
        seen: set[str] = set()
        before = len(cells)
        for row in track(rows, f"Listing {laboratory.code}"):
            if sources.classes[row.label] is Meaning.LEFT_OUT:
                left_out += 1
                continue
            problem = row.problem or ("is named a second time" if row.path in seen else None)
            seen.add(row.path)
            found = problem or _cell(row, laboratory, data, sources.classes[row.label])
            if isinstance(found, ListedCell):
                cells.append(found)
            else:
                skipped.append(SkippedRow(laboratory.code, printable(row.path), found))
        if len(cells) == before:
            raise DataError(
                f"{data / laboratory.manifest} has no readable cell of {laboratory.code}.",
                remedy="Check --data, and path_prefix and images of the laboratory in sources.toml.",
            )
    return CellTable(tuple(cells), tuple(skipped), left_out)


def count_types(cells: Sequence[ListedCell]) -> Counter[tuple[str, Meaning]]:
    """The number of cells by laboratory and meaning."""
    return Counter((each.laboratory, each.meaning) for each in cells)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    path: str
    label: str
    group: str
    problem: str | None = None


def _rows_of(laboratory: Laboratory, data: Path) -> list[_Row]:
    """The rows of a manifest whose paths begin with the laboratory's prefix. Raises ``DataError``."""
    manifest = data / laboratory.manifest
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            return list(_read_rows(file, manifest, laboratory))
    except OSError as error:
        raise DataError(
            f"{manifest}, the manifest of {laboratory.code}, cannot be read ({error.strerror}).",
            remedy="Check --data, or name the laboratories that you have.",
        ) from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{manifest} is not a CSV file: {error}.", remedy="Save it as CSV in UTF-8.") from error


def _read_rows(file: Iterable[str], manifest: Path, laboratory: Laboratory) -> Iterator[_Row]:
    reader = csv.DictReader(file)
    needed = _COLUMNS | ({"group"} if laboratory.groups is Groups.PATIENTS else set())
    if missing := sorted(needed - set(reader.fieldnames or ())):
        raise DataError(
            f"{manifest} has no column {' or '.join(missing)}.", remedy="Give the columns path, label and group."
        )
    for row in reader:
        path, label, group = ((row.get(name) or "").strip() for name in ("path", "label", "group"))
        if not path.startswith(laboratory.path_prefix):
            continue
        problem = None
        if ".." in PurePosixPath(path).parts or "\0" in path:
            problem = "is not a path inside the data folder"
        elif laboratory.groups is Groups.PATIENTS and not group:
            # The cell could be of any patient, so it could be on both sides of a split.
            problem = "names no patient"
        yield _Row(reader.line_num, path, label, group, problem)


def _check_classes(rows: Sequence[_Row], laboratory: Laboratory, sources: Sources) -> None:
    unknown = [row for row in rows if row.label not in sources.classes]
    if not unknown:
        return
    shown = [f"line {row.line}: {row.label or '(none)'}" for row in unknown[:_SHOWN_PROBLEMS]]
    if len(shown) < len(unknown):
        shown.append(f"and {len(unknown) - len(shown)} more lines.")
    raise DataError(
        "\n  ".join([f"{laboratory.manifest} has classes that sources.toml does not map:", *shown]),
        remedy="Say under [classes] of sources.toml what they mean; 'left-out' leaves them out.",
    )


def _cell(row: _Row, laboratory: Laboratory, data: Path, meaning: Meaning) -> ListedCell | str:
    """The cell of a row, or why there is none."""
    path = data / laboratory.images / row.path
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    group = None
    if laboratory.groups is Groups.PATIENTS:
        prefix = f"{laboratory.code}-"
        group = row.group if row.group.startswith(prefix) else f"{prefix}{row.group}"
    return ListedCell(path, laboratory.code, meaning, group, sha256)
