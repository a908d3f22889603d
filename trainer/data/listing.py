"""Which images a data set has, by its class folders or by a table."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from trainer.data.description import Description
from trainer.errors import DataError


def list_folders(folder: Path, description: Description) -> list[tuple[str, str, str | None]]:
    """Path, label and group (None) of every file."""
    labels = {each.folder: each.code for each in description.classes}
    found = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if missing := [name for name in labels if name not in found]:
        raise DataError(f"{folder} has no class folder {missing[0]}; there is {sorted(found) or 'none'}.")
    if surplus := sorted(found - set(labels)):
        raise DataError(
            f"{folder} has a folder {surplus[0]} that is no class of the description {description.name}.",
            remedy="Describe it as a class, or move it away.",
        )
    return [
        (path.relative_to(folder).as_posix(), labels[name], None)
        for name in labels
        for path in sorted((folder / name).iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]


def list_table(table: Path, folder: Path, description: Description) -> list[tuple[str, str, str | None]]:
    """Path, label and group of every row."""
    codes = {name: each.code for each in description.classes for name in (each.folder, each.code)}
    rows: dict[str, tuple[str, str, str | None]] = {}
    try:
        with table.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if missing := sorted({"path", "label"} - set(reader.fieldnames or ())):
                raise DataError(f"{table} has no column {missing[0]}.", remedy="Give the columns path, label, group.")
            for row in reader:
                path = Path(os.path.relpath(table.parent / row["path"], folder)).as_posix()
                label = row["label"]
                if label not in codes:
                    raise DataError(
                        f"line {reader.line_num} of {table} has a class {label} that is not described.",
                        remedy="Describe it as a class, or take the line out.",
                    )
                if path.startswith("../"):
                    raise DataError(
                        f"{table} names {row['path']}, which is not below {folder}.", remedy="Check --data."
                    )
                if path in rows:
                    raise DataError(f"{table} names {path} twice.", remedy="Take one of the lines out.")
                rows[path] = path, codes[label], row.get("group") or None
    except OSError as error:
        raise DataError(f"table {table} cannot be read ({error.strerror}).", remedy="Check its path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"table {table} is no CSV: {error}.", remedy="Save it as UTF-8 CSV.") from error
    return list(rows.values())
