"""Divides all images into folds, keeping near-duplicates and groups together, and makes a split for each fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trainer.data.grouping import merge_groups
from trainer.data.split import Assignment, Part
from trainer.errors import DataError
from trainer.site.folds import divide, folds_count

VALIDATION_SHARE = 0.1
"""Share of all images, as for the shipped bundles, that choose the epoch, temperature and thresholds of a fold."""


def groups_of(assignments: Sequence[Assignment]) -> NDArray[np.int64]:
    """One number, int64 (n,), for all images that are alike or in one group."""
    return merge_groups([each.duplicate_group for each in assignments], [each.file.group for each in assignments])


def fold_splits(assignments: Sequence[Assignment], folds: int, seed: int) -> list[list[Assignment]]:
    """The split of each fold: its own images are the test part; every image is in the test part of one fold.

    The parts of ``assignments`` are ignored, only which images are alike counts. Raises ``DataError`` if a class has
    too few groups to be in every part.
    """
    labels = np.unique([each.file.label for each in assignments], return_inverse=True)[1].astype(np.int64)
    groups = groups_of(assignments)
    for label in np.unique(labels):
        count = len(np.unique(groups[labels == label]))
        if count < folds:
            name = assignments[int(np.argmax(labels == label))].file.label
            raise DataError(
                f"class {name} has {count} distinct image(s) or group(s), too few for {folds} folds.",
                remedy="Give fewer --folds, or add images that show other fields.",
            )
    fold_of = divide(labels, groups, folds, seed)
    return [_split(assignments, labels, groups, fold_of == fold, folds, seed) for fold in range(folds)]


def _split(
    assignments: Sequence[Assignment],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    folds: int,
    seed: int,
) -> list[Assignment]:
    parts = np.full(len(labels), Part.TRAIN, dtype=object)
    parts[held_out] = Part.TEST
    rest = np.flatnonzero(~held_out)
    wanted = round((1 - 1 / folds) / VALIDATION_SHARE)
    shares = max(2, min(wanted, folds_count(labels[rest], groups[rest])))
    parts[rest[divide(labels[rest], groups[rest], shares, seed) == 0]] = Part.VALIDATION
    for part in Part:
        if missing := set(labels.tolist()) - set(labels[parts == part].tolist()):
            name = assignments[int(np.argmax(labels == min(missing)))].file.label
            raise DataError(
                f"class {name} has too few distinct images or groups to be in {part} of every fold.",
                remedy="Give fewer --folds, add images that show other fields, or try another --seed.",
            )
    return [replace(each, part=Part(part)) for each, part in zip(assignments, parts, strict=True)]
