"""A split of the images into training, validation and test, kept as a CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from trainer.data.dataset import ImageFile
from trainer.errors import DataError
from trainer.files import replacing

_COLUMNS = ("path", "label", "sha256", "group", "twin_group", "split")


class Part(StrEnum):
    """What an image is used for."""

    TRAIN = "train"
    VALIDATION = "val"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One image, the group of its near-duplicates (images of the same field), and its part."""

    file: ImageFile
    duplicate_group: int
    part: Part


def write_split(path: Path, assignments: Sequence[Assignment]) -> None:
    """Write the CSV file: path, label, sha256, group (empty if unknown), twin_group, split.

    ``twin_group`` is the group of near-duplicates; the column keeps its released name. Raises ``OutputUnwritable``.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for each in assignments:
        image = each.file
        writer.writerow(
            (image.path, image.label, image.sha256, image.group or "", each.duplicate_group, each.part.value)
        )
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def read_split(path: Path, data: Path | None = None) -> list[Assignment]:
    """Read a file that ``write_split`` wrote; it may lack the column group.

    Raises ``DataError`` if the file is damaged or lists no image, if a group, near-duplicates or one file's content are
    in more than one part, or if ``data`` is given and an image is not in that folder.
    """
    assignments = parse_split(path)
    check_split(assignments)
    if data is not None and (missing := [each.file for each in assignments if not (data / each.file.path).is_file()]):
        raise DataError(
            f"split {path} names {missing[0].path} and {len(missing) - 1} more files that are not in {data}.",
            remedy="Check the data folder, or make a new split.",
        )
    return assignments


def hash_of_split(path: Path) -> str:
    """sha256 of a split's file, which contains the images' hashes. Raises ``DataError``."""
    read_split(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parse_split(path: Path) -> list[Assignment]:
    """Read a file that ``write_split`` wrote, without checking what crosses parts. Raises ``DataError`` if damaged."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {*_COLUMNS} - {"group"} <= set(reader.fieldnames or ()):
                raise DataError(
                    f"{path} lacks some of the columns {', '.join(_COLUMNS)}.",
                    remedy="Name a split that 'trainer prepare' or 'trainer train' wrote.",
                )
            assignments = [
                Assignment(
                    ImageFile(row["path"], row["label"], row["sha256"], row.get("group") or None),
                    int(row["twin_group"]),
                    Part(row["split"]),
                )
                for row in reader
            ]
    except OSError as error:
        raise DataError(f"split {path} cannot be read ({error.strerror}).", remedy="Check its path.") from error
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(f"split {path} is damaged: {error}.", remedy="Make a new split.") from error
    if not assignments:
        raise DataError(f"split {path} lists no image.", remedy="Make a new split.")
    return assignments


def check_split(assignments: Sequence[Assignment]) -> None:
    """Raise ``DataError`` if near-duplicates, a group, or one file's content, are in more than one part."""
    part_of: dict[tuple[str, int | str], Part] = {}
    for each in assignments:
        for what, key in (
            ("a near-duplicate of it", each.duplicate_group),
            ("the same content", each.file.sha256),
            (f"another image of group {each.file.group}", each.file.group),
        ):
            if key is not None and part_of.setdefault((what, key), each.part) is not each.part:
                raise DataError(
                    f"{each.file.path} is in {each.part} and {what} is in {part_of[what, key]}.",
                    remedy="Make a new split.",
                )


def near_duplicates_count(assignments: Sequence[Assignment]) -> int:
    """The number of images that have a near-duplicate."""
    sizes = Counter(each.duplicate_group for each in assignments)
    return sum(size for size in sizes.values() if size > 1)


def in_part(assignments: Sequence[Assignment], part: Part) -> list[ImageFile]:
    """The files of one part."""
    return [each.file for each in assignments if each.part is part]


def held_out(assignments: Sequence[Assignment]) -> list[ImageFile]:
    """The files that had no part in training: validation, by which thresholds are chosen, and test."""
    return [each.file for each in assignments if each.part is not Part.TRAIN]
