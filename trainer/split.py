"""Tells training, validation and test apart, twins on one side, and keeps the decision as a CSV file."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from trainer.dataset import Dataset, ImageFile
from trainer.errors import DataError
from trainer.twins import find_twins, twin_groups

_COLUMNS = ("path", "label", "sha256", "twin_group", "split")


class Part(StrEnum):
    """What an image is used for."""

    TRAIN = "train"
    VALIDATION = "val"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One image, the group of those that show the same field, and its part."""

    file: ImageFile
    twin_group: int
    part: Part


def assign(
    labels: Sequence[str],
    groups: NDArray[np.int64],
    *,
    test_share: float,
    validation_share: float,
    seed: int,
) -> list[Part]:
    """A part for each image; every group on one side, every class in every part.

    Shares are of all images and are met as nearly as groups allow. Raises ``DataError`` where a class has
    too few groups to be in all three parts.
    """
    classes = np.asarray(labels)
    for label in sorted(set(labels)):
        distinct = len(set(groups[classes == label].tolist()))
        if distinct < 3:
            raise DataError(
                f"class {label} has {distinct} distinct image(s); training, validation and test need one each.",
                remedy="Add images that show other fields.",
            )
    parts = np.full(len(classes), Part.TRAIN, dtype=object)
    rest = np.arange(len(classes))
    for part, share in (
        (Part.TEST, test_share),
        (Part.VALIDATION, validation_share / (1 - test_share)),
    ):
        chosen = rest[_one_fold(classes[rest], groups[rest], share, seed)]
        parts[chosen] = part
        rest = np.setdiff1d(rest, chosen)
    for part in Part:
        if missing := sorted(set(labels) - set(classes[parts == part])):
            raise DataError(
                f"class {missing[0]} has too few distinct images to be in {part}.",
                remedy="Add images that show other fields.",
            )
    return [Part(part) for part in parts]


def _one_fold(labels: NDArray[np.str_], groups: NDArray[np.int64], share: float, seed: int) -> NDArray[np.intp]:
    fewest = min(len(set(groups[labels == label].tolist())) for label in set(labels.tolist()))
    folds = max(2, min(round(1 / share), fewest))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    _, fold = next(splitter.split(np.zeros(len(labels)), labels, groups))
    return np.asarray(fold, np.intp)


def split_dataset(dataset: Dataset, *, test_share: float, validation_share: float, seed: int) -> list[Assignment]:
    """Look for twins and assign every image. Raises ``DataError``."""
    pairs = find_twins(dataset.fields, [file.sha256 for file in dataset.files])
    groups = twin_groups(len(dataset.files), pairs)
    labels = [file.label for file in dataset.files]
    parts = assign(labels, groups, test_share=test_share, validation_share=validation_share, seed=seed)
    return [Assignment(file, int(group), part) for file, group, part in zip(dataset.files, groups, parts, strict=True)]


def write_split(path: Path, assignments: Sequence[Assignment]) -> None:
    """Write the CSV file: path, label, sha256, twin_group, split."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for each in assignments:
            writer.writerow((each.file.path, each.file.label, each.file.sha256, each.twin_group, each.part.value))


def read_split(path: Path) -> list[Assignment]:
    """Read what ``write_split`` wrote. Raises ``DataError``, also if a group is on both sides."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != _COLUMNS:
                raise DataError(f"{path} has not the columns {', '.join(_COLUMNS)}.", remedy="Name a split.")
            assignments = [
                Assignment(
                    ImageFile(row["path"], row["label"], row["sha256"]),
                    int(row["twin_group"]),
                    Part(row["split"]),
                )
                for row in reader
            ]
    except OSError as error:
        raise DataError(f"split {path} cannot be read ({error.strerror}).", remedy="Check its path.") from error
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(f"split {path} is damaged: {error}.", remedy="Make a new split.") from error
    check_split(assignments)
    return assignments


def check_split(assignments: Sequence[Assignment]) -> None:
    """Raise ``DataError`` if a group of twins, or one file's content, is in more than one part."""
    part_of: dict[int | str, Part] = {}
    for each in assignments:
        for key in (each.twin_group, each.file.sha256):
            if part_of.setdefault(key, each.part) is not each.part:
                raise DataError(
                    f"{each.file.path} is in {each.part} and a twin of it is in {part_of[key]}.",
                    remedy="Make a new split.",
                )


def twins_count(assignments: Sequence[Assignment]) -> int:
    """How many images have a twin."""
    sizes = Counter(each.twin_group for each in assignments)
    return sum(size for size in sizes.values() if size > 1)


def in_part(assignments: Sequence[Assignment], part: Part) -> list[ImageFile]:
    """The files of one part."""
    return [each.file for each in assignments if each.part is part]
