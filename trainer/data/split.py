"""Tells training, validation and test apart, twins and groups on one side, and keeps the decision as a CSV file."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from trainer.data.dataset import Dataset, ImageFile
from trainer.data.near_duplicates import find_twins, twin_groups
from trainer.errors import DataError

_COLUMNS = ("path", "label", "sha256", "group", "twin_group", "split")


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
                f"class {label} has {distinct} distinct image(s) or group(s); "
                "training, validation and test need one each.",
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
                f"class {missing[0]} has too few distinct images or groups to be in {part}.",
                remedy="Add images that show other fields, or try another seed.",
            )
    return [Part(part) for part in parts]


def _one_fold(labels: NDArray[np.str_], groups: NDArray[np.int64], share: float, seed: int) -> NDArray[np.intp]:
    fewest = min(len(set(groups[labels == label].tolist())) for label in set(labels.tolist()))
    folds = max(2, min(round(1 / share), fewest))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    _, fold = next(splitter.split(np.zeros(len(labels)), labels, groups))
    return np.asarray(fold, np.intp)


def split_dataset(dataset: Dataset, *, test_share: float, validation_share: float, seed: int) -> list[Assignment]:
    """Look for twins and assign every image; twins, and groups where they are known, on one side.

    Raises ``DataError``.
    """
    pairs = find_twins(dataset.fields, [file.sha256 for file in dataset.files])
    twins = twin_groups(len(dataset.files), pairs)
    groups = [file.group for file in dataset.files]
    return assign_files(dataset, twins, groups, test_share=test_share, validation_share=validation_share, seed=seed)


def assign_files(
    dataset: Dataset,
    twins: NDArray[np.int64],
    groups: Sequence[str | None],
    *,
    test_share: float,
    validation_share: float,
    seed: int,
) -> list[Assignment]:
    """Assign every image so that neither twins, int64 (n,), nor ``groups`` cross parts. Raises ``DataError``."""
    labels = [file.label for file in dataset.files]
    units = joined(twins.tolist(), groups)
    parts = assign(labels, units, test_share=test_share, validation_share=validation_share, seed=seed)
    return [Assignment(file, int(twin), part) for file, twin, part in zip(dataset.files, twins, parts, strict=True)]


def joined(first: Sequence[object], second: Sequence[object]) -> NDArray[np.int64]:
    """One number, int64 (n,), for all images that are linked by either grouping; None links nothing."""
    nodes: dict[tuple[int, object], int] = {}
    edges = [
        (index, nodes.setdefault((which, group), len(nodes)))
        for which, groups in enumerate((first, second))
        for index, group in enumerate(groups)
        if group is not None
    ]
    count = len(first)
    rows = [index for index, _ in edges]
    columns = [count + node for _, node in edges]
    size = count + len(nodes)
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:count], np.int64)


def write_split(path: Path, assignments: Sequence[Assignment]) -> None:
    """Write the CSV file: path, label, sha256, group (empty if unknown), twin_group, split."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for each in assignments:
            image = each.file
            writer.writerow(
                (image.path, image.label, image.sha256, image.group or "", each.twin_group, each.part.value)
            )


def read_split(path: Path, data: Path | None = None) -> list[Assignment]:
    """Read what ``write_split`` wrote; the column group may be left out.

    Raises ``DataError`` for a file that is damaged or has no image, that has a group, twins or a content on more than
    one side or, if ``data`` is given, that names an image which is not in that folder.
    """
    assignments = parse_split(path)
    check_split(assignments)
    if data is not None and (missing := [each.file for each in assignments if not (data / each.file.path).is_file()]):
        raise DataError(
            f"split {path} names {missing[0].path} and {len(missing) - 1} more that are not in {data}.",
            remedy="Check the data folder, or make a new split.",
        )
    return assignments


def parse_split(path: Path) -> list[Assignment]:
    """Read what ``write_split`` wrote, whatever crosses its parts. Raises ``DataError`` for a damaged file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not {*_COLUMNS} - {"group"} <= set(reader.fieldnames or ()):
                raise DataError(f"{path} has not the columns {', '.join(_COLUMNS)}.", remedy="Name a split.")
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
        raise DataError(f"split {path} names no image.", remedy="Make a new split.")
    return assignments


def check_split(assignments: Sequence[Assignment]) -> None:
    """Raise ``DataError`` if twins, a group, or one file's content, are in more than one part."""
    part_of: dict[tuple[str, int | str], Part] = {}
    for each in assignments:
        for what, key in (
            ("a twin of it", each.twin_group),
            ("the same content", each.file.sha256),
            (f"another image of group {each.file.group}", each.file.group),
        ):
            if key is not None and part_of.setdefault((what, key), each.part) is not each.part:
                raise DataError(
                    f"{each.file.path} is in {each.part} and {what} is in {part_of[what, key]}.",
                    remedy="Make a new split.",
                )


def twins_count(assignments: Sequence[Assignment]) -> int:
    """How many images have a twin."""
    sizes = Counter(each.twin_group for each in assignments)
    return sum(size for size in sizes.values() if size > 1)


def in_part(assignments: Sequence[Assignment], part: Part) -> list[ImageFile]:
    """The files of one part."""
    return [each.file for each in assignments if each.part is part]
