"""Assigns images to training, validation and test, with near-duplicates and groups on one side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from trainer.data.dataset import Dataset
from trainer.data.grouping import merge_groups
from trainer.data.near_duplicates import find_near_duplicates, near_duplicate_groups
from trainer.data.split import Assignment, Part
from trainer.errors import DataError


def assign_parts(
    labels: Sequence[str],
    groups: NDArray[np.int64],
    *,
    test_share: float,
    validation_share: float,
    seed: int,
) -> list[Part]:
    """A part for each image; every group in one part, every class in every part.

    Shares are of all images, and are met as nearly as groups allow. Raises ``DataError`` if a class has too few groups
    to be in all three parts.
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
    """Find near-duplicates and assign every image; near-duplicates and known groups stay in one part.

    Raises ``DataError``.
    """
    pairs = find_near_duplicates(dataset.fields, [file.sha256 for file in dataset.files])
    duplicates = near_duplicate_groups(len(dataset.files), pairs)
    groups = [file.group for file in dataset.files]
    return assign_files(
        dataset, duplicates, groups, test_share=test_share, validation_share=validation_share, seed=seed
    )


def assign_files(
    dataset: Dataset,
    duplicates: NDArray[np.int64],
    groups: Sequence[str | None],
    *,
    test_share: float,
    validation_share: float,
    seed: int,
) -> list[Assignment]:
    """Assign every image; ``duplicates``, int64 (n,), and ``groups`` never cross parts. Raises ``DataError``."""
    labels = [file.label for file in dataset.files]
    units = merge_groups(duplicates.tolist(), groups)
    parts = assign_parts(labels, units, test_share=test_share, validation_share=validation_share, seed=seed)
    return [
        Assignment(file, int(group), part) for file, group, part in zip(dataset.files, duplicates, parts, strict=True)
    ]
