"""Lists the images of a data set, by its class folders or by a table."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trainer.data.description import Description
from trainer.errors import DataError

_SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that should be an image. ``path`` is relative to the data folder, with forward slashes."""

    path: str
    label: str
    group: str | None = None
    captured_at: datetime | None = None
    """UTC, from the table."""
    device: str | None = None
    """The camera or other device that took the picture, from the table."""


def list_images(folder: Path, description: Description, table: Path | None = None) -> list[ListedFile]:
    """Every file of every class, by class folders or as ``table`` names them; nothing is opened.

    ``table`` is a CSV with the columns path (relative to the table), label (a class's folder or code) and, where
    known, group, captured_at (ISO 8601) and device. Without it, the description may name one in ``folder``. Raises
    ``DataError``.
    """
    if not folder.is_dir():
        raise DataError(f"there is no data folder {folder}.", remedy="Check --data.")
    if table is None and description.table is not None:
        table = folder / description.table
    try:
        return _list_folders(folder, description) if table is None else _list_table(table, folder, description)
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} cannot be read ({error.strerror}).", remedy="Check the path and permissions."
        ) from error


def _list_folders(folder: Path, description: Description) -> list[ListedFile]:
    labels = {each.folder: each.code for each in description.classes}
    found = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if missing := [name for name in labels if name not in found]:
        raise DataError(
            f"{folder} has no class folder {', '.join(missing)}; its folders are: {', '.join(sorted(found)) or 'none'}."
        )
    if surplus := sorted(found - set(labels)):
        raise DataError(
            f"{folder} has a folder {', '.join(surplus)} that is not a class of the description {description.name}.",
            remedy="Describe it as a class, or move it away.",
        )
    return [
        ListedFile(path.relative_to(folder).as_posix(), labels[name])
        for name in labels
        for path in sorted((folder / name).iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]


def _list_table(table: Path, folder: Path, description: Description) -> list[ListedFile]:
    codes = {name: each.code for each in description.classes for name in (each.folder, each.code)}
    files: dict[str, ListedFile] = {}
    problems: list[str] = []
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := sorted({"path", "label"} - set(reader.fieldnames or ())):
                raise DataError(
                    f"{table} has no column {' or '.join(missing)}.", remedy="Give the columns path, label, group."
                )
            for row in reader:
                label = row["label"]
                path = Path(os.path.relpath(table.parent / (row["path"] or ""), folder)).as_posix()
                if problem := _problem(row["path"], path, label, folder, codes, files):
                    problems.append(f"line {reader.line_num} {problem}")
                else:
                    files[path] = ListedFile(
                        path,
                        codes[label],
                        row.get("group") or None,
                        _time_of(row.get("captured_at")),
                        row.get("device") or None,
                    )
    except OSError as error:
        raise DataError(f"table {table} cannot be read ({error.strerror}).", remedy="Check its path.") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"table {table} is not a CSV file: {error}.", remedy="Save it as CSV in UTF-8.") from error
    if problems:
        shown = problems[:_SHOWN_PROBLEMS]
        if len(shown) < len(problems):
            shown.append(f"and {len(problems) - len(shown)} more lines.")
        raise DataError(
            "\n  ".join([f"{table} has {len(problems)} wrong line{'s' if len(problems) > 1 else ''}:", *shown]),
            remedy="Correct or remove these lines. Paths are relative to the table itself.",
        )
    return list(files.values())


def _time_of(text: str | None) -> datetime | None:
    """The time in a cell; None if it is not one: spreadsheets write times in too many ways to insist on one."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:  # within a day of the first or last year
        return None


def _problem(
    given: str | None, path: str, label: str | None, folder: Path, codes: dict[str, str], files: dict[str, ListedFile]
) -> str | None:
    """The problem with a row whose ``path`` below ``folder`` is given; None if there is none."""
    if not given:
        return "has no path."
    if label not in codes:
        return f"has class {label or '(none)'}, which is not described."
    if path.startswith("../"):
        return f"names {given}, which is not below {folder}."
    if path in files:
        return f"names {path} a second time."
    if not (folder / path).is_file():
        return f"names {path}, which does not exist in {folder}."
    return None
