"""'trainer audit': how well the label can be predicted without a cell, and which images leak across a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, ConfigDict, Field, ValidationError
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

# The JSON keeps the names that these figures were first published under.
_PUBLISHED = ConfigDict(serialize_by_alias=True)


class Shortcut(Settings):
    """How well the class can be predicted from one thing that is not a cell."""

    model_config = _PUBLISHED

    name: str
    values_count: int = Field(description="Numbers per image that the classifier was given.")
    accuracy_ratio: float
    accuracy_interval_ratio: tuple[float, float] = Field(description="95 %, by bootstrap over groups of images.")
    reveals_label: bool = Field(
        validation_alias=AliasChoices("reveals_label", "tells"),
        serialization_alias="tells",
        description="Whether the accuracy is significantly above chance, given how many shortcuts were tried.",
    )


class Audit(Settings):
    """What 'trainer audit' found."""

    model_config = _PUBLISHED

    dataset: str
    dataset_sha256: str = Field(description="Of the sorted list of the images' own sha256.")
    images_count: int
    unreadable_count: int
    classes_count: dict[str, int]
    near_duplicate_pairs_count: int = Field(
        validation_alias=AliasChoices("near_duplicate_pairs_count", "twin_pairs_count"),
        serialization_alias="twin_pairs_count",
    )
    images_with_near_duplicate_count: int = Field(
        validation_alias=AliasChoices("images_with_near_duplicate_count", "images_with_twin_count"),
        serialization_alias="images_with_twin_count",
    )
    groups_count: int | None = Field(description="Null where no groups are known.")
    chance_ratio: float = Field(description="Share of the commonest class: the accuracy of always naming it.")
    shortcuts: tuple[Shortcut, ...] = Field(
        validation_alias=AliasChoices("shortcuts", "clues"), serialization_alias="clues"
    )
    leaks: tuple[Leak, ...] | None = Field(description="Null where no split was given.")


def audit(
    data: Path, dataset: Dataset, dataset_name: str, *, split: Sequence[Assignment] | None = None, seed: int = 0
) -> Audit:
    """Cross-validate a classifier on each shortcut and look for leaks in ``split``.

    Groups and near-duplicates stay within one fold.

    Raises ``DataError`` if a class has too few groups for the folds, or if the split is of other images.
    """
    files = dataset.files
    pairs = find_near_duplicates(dataset.fields, [file.sha256 for file in files])
    duplicates = near_duplicate_groups(len(files), pairs)
    groups = [file.group for file in files]
    units = merge_groups(duplicates.tolist(), groups)
    labels = np.array([file.label for file in files])
    counts = {label: int((labels == label).sum()) for label in dict.fromkeys(labels.tolist())}
    chance = max(counts.values()) / len(labels)
    folds = _folds(labels, units, seed)
    values_of = shortcut_values(data, files, dataset.fields)
    return Audit(
        dataset=dataset_name,
        dataset_sha256=dataset.sha256,
        images_count=len(files),
        unreadable_count=len(dataset.unreadable),
        classes_count=counts,
        near_duplicate_pairs_count=len(pairs),
        images_with_near_duplicate_count=len({index for pair in pairs for index in (pair.first, pair.second)}),
        groups_count=len(set(groups) - {None}) or None,
        chance_ratio=chance,
        shortcuts=tuple(
            _measure_shortcut(name, values, labels, units, folds, chance=chance, tried=len(values_of), seed=seed)
            for name, values in track(list(values_of.items()), "Measuring shortcuts")
        ),
        leaks=None if split is None else find_leaks(dataset, pairs, split),
    )


def _folds(labels: NDArray[np.str_], units: NDArray[np.int64], seed: int) -> list[tuple[NDArray[np.intp], ...]]:
    fewest = min(len(set(units[labels == label].tolist())) for label in set(labels.tolist()))
    if fewest < 2:
        raise DataError(
            "a class has a single group of images, so nothing can be cross-validated.",
            remedy="Add images of another group to every class.",
        )
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
        raise DataError(f"{name} has no finite value.")
    return Shortcut(
        name=name,
        values_count=values.shape[1],
        accuracy_ratio=float(right.mean()),
        accuracy_interval_ratio=interval,
        # Bonferroni: with several shortcuts tried, one may look good by chance.
        reveals_label=bool((drawn <= chance).mean() <= _FALSE_ALARMS / tried),
    )


def read_audit(path: Path) -> Audit:
    """Read the file that 'trainer audit --out' wrote. Raises ``DataError``."""
    remedy = "Name the audit.json that 'trainer audit --out' wrote."
    try:
        return Audit.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", remedy=remedy) from error
    except ValidationError as error:
        raise DataError(f"{path} is not an audit: {error.errors()[0]['msg']}.", remedy=remedy) from error
