"""'trainer audit': how much of the label can be told without looking at a cell, and what crosses a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from edge_agent.settings import Settings
from trainer.data.dataset import Dataset
from trainer.data.grouping import merge_groups
from trainer.data.near_duplicates import find_near_duplicates, near_duplicate_groups
from trainer.data.split import Assignment
from trainer.errors import DataError
from trainer.evaluation.intervals import percentile_interval, resample
from trainer.evaluation.leaks import Leak, find_leaks
from trainer.evaluation.shortcuts import shortcut_values
from trainer.progress import track

FOLDS = 5
_TREES = 300
_FALSE_ALARMS = 0.025


class Shortcut(Settings):
    """How well the classes are told by one thing that is not a cell."""

    name: str
    values_count: int = Field(description="Numbers per image that the classifier was given.")
    accuracy_ratio: float
    accuracy_interval_ratio: tuple[float, float] = Field(description="95 %, by bootstrap over groups of images.")
    tells: bool = Field(description="Whether the accuracy is above chance for sure, given how many clues were tried.")


class Audit(Settings):
    """What 'trainer audit' found."""

    dataset: str
    dataset_sha256: str = Field(description="Of the sorted list of the images' own sha256.")
    images_count: int
    unreadable_count: int
    classes_count: dict[str, int]
    twin_pairs_count: int
    images_with_twin_count: int
    groups_count: int | None = Field(description="Null where no groups are known.")
    chance_ratio: float = Field(description="Share of the commonest class: the accuracy of always naming it.")
    clues: tuple[Shortcut, ...]
    leaks: tuple[Leak, ...] | None = Field(description="Null where no split was given.")


def audit(
    data: Path, dataset: Dataset, name: str, *, split: Sequence[Assignment] | None = None, seed: int = 0
) -> Audit:
    """Cross-validate a classifier on each clue, groups and twins within one fold, and look for leaks in ``split``.

    Raises ``DataError`` where a class has too few groups for the folds, or the split is of other images.
    """
    files = dataset.files
    pairs = find_near_duplicates(dataset.fields, [file.sha256 for file in files])
    twins = near_duplicate_groups(len(files), pairs)
    groups = [file.group for file in files]
    units = merge_groups(twins.tolist(), groups)
    labels = np.array([file.label for file in files])
    counts = {label: int((labels == label).sum()) for label in dict.fromkeys(labels.tolist())}
    chance = max(counts.values()) / len(labels)
    folds = _folds(labels, units, seed)
    clues = shortcut_values(data, files, dataset.fields)
    return Audit(
        dataset=name,
        dataset_sha256=dataset.sha256,
        images_count=len(files),
        unreadable_count=len(dataset.unreadable),
        classes_count=counts,
        twin_pairs_count=len(pairs),
        images_with_twin_count=len({index for pair in pairs for index in (pair.first, pair.second)}),
        groups_count=len(set(groups) - {None}) or None,
        chance_ratio=chance,
        clues=tuple(
            _measure_shortcut(clue, values, labels, units, folds, chance=chance, tried=len(clues), seed=seed)
            for clue, values in track(list(clues.items()), "What is not a cell")
        ),
        leaks=None if split is None else find_leaks(dataset, pairs, split),
    )


def _folds(labels: NDArray[np.str_], units: NDArray[np.int64], seed: int) -> list[tuple[NDArray[np.intp], ...]]:
    fewest = min(len(set(units[labels == label].tolist())) for label in set(labels.tolist()))
    if fewest < 2:
        raise DataError("a class has a single group of images; nothing can be cross-validated.")
    splitter = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(labels)), labels, units))


def _measure_shortcut(
    name: str,
    values: NDArray[np.float32],
    labels: NDArray[np.str_],
    units: NDArray[np.int64],
    folds: list[tuple[NDArray[np.intp], ...]],
    *,
    chance: float,
    tried: int,
    seed: int,
) -> Shortcut:
    forest = ExtraTreesClassifier(_TREES, min_samples_leaf=2, random_state=seed, n_jobs=-1)
    right = cross_val_predict(forest, values, labels, cv=folds) == labels
    drawn = resample(lambda times: np.array([(right * times).sum() / times.sum()]), units, seed=seed)[:, 0]
    interval = percentile_interval(drawn)
    if interval is None:
        raise DataError(f"{name} has no value that is a number.")
    return Shortcut(
        name=name,
        values_count=values.shape[1],
        accuracy_ratio=float(right.mean()),
        accuracy_interval_ratio=interval,
        # Bonferroni: several clues are tried, and one of them may look good by luck.
        tells=bool((drawn <= chance).mean() <= _FALSE_ALARMS / tried),
    )


def read_audit(path: Path) -> Audit:
    """What 'trainer audit --out' wrote. Raises ``DataError``."""
    remedy = "Name the audit.json that 'trainer audit --out' wrote."
    try:
        return Audit.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", remedy=remedy) from error
    except ValidationError as error:
        raise DataError(f"{path} is no audit: {error.errors()[0]['msg']}.", remedy=remedy) from error
