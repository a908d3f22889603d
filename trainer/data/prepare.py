"""'trainer prepare': a split made once and kept, so that every run and every figure is of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from trainer.data.colours import describe
from trainer.data.dataset import Dataset, Unreadable, read_dataset
from trainer.data.description import Description
from trainer.data.near_duplicates import find_twins, twin_groups
from trainer.data.split import Assignment, assign_files, write_split
from trainer.errors import DataError


class Disjoint(StrEnum):
    """What must not be on both sides of a split, beside twins."""

    TWINS = "twins"
    GROUPS = "groups"
    STAINS = "stains"


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of the data each part gets."""

    test: float
    validation: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """A split and what was left out of it."""

    assignments: tuple[Assignment, ...]
    unreadable: tuple[Unreadable, ...]
    disjoint: Disjoint


def prepare(
    data: Path,
    description: Description,
    out: Path,
    *,
    table: Path | None,
    disjoint: Disjoint | None,
    shares: Shares,
    clusters_per_class: int,
    seed: int,
) -> Prepared:
    """Read the data, find twins, split and write the CSV file ``out``. Raises ``DataError``.

    Without ``disjoint``, groups are kept apart if the data have any, and twins alone if not.
    """
    if out.exists():
        raise DataError(f"{out} already exists.", remedy="Name another --out: figures may depend on the old one.")
    dataset = read_dataset(data, description, table)
    known = [file.group for file in dataset.files]
    chosen = disjoint or (Disjoint.TWINS if known.count(None) == len(known) else Disjoint.GROUPS)
    if chosen is Disjoint.GROUPS and None in known:
        raise DataError(
            f"{known.count(None)} of {len(known)} images have no group.",
            remedy="Give --table with a group for every image, or --disjoint twins or stains.",
        )
    twins = twin_groups(len(known), find_twins(dataset.fields, [file.sha256 for file in dataset.files]))
    groups: Sequence[str | None] = [None] * len(known)
    if chosen is Disjoint.GROUPS:
        groups = known
    elif chosen is Disjoint.STAINS:
        groups = stain_clusters(dataset, twins, clusters_per_class, seed)
    assignments = assign_files(
        dataset, twins, groups, test_share=shares.test, validation_share=shares.validation, seed=seed
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_split(out, assignments)
    return Prepared(tuple(assignments), dataset.unreadable, chosen)


def stain_clusters(dataset: Dataset, twins: NDArray[np.int64], per_class: int, seed: int) -> list[str]:
    """For each image the cluster of its background's and stain's colours, by k-means within its class.

    Where no groups are known this is the nearest to slides that can be had: a part then holds stains that the other
    parts of the same class do not have. Within classes, because where stain nearly tells the class, clusters over all
    would leave parts without some class. Twins count once and go together.
    """
    colours = StandardScaler().fit_transform(describe(dataset.fields))
    labels = np.array([file.label for file in dataset.files])
    clusters = np.empty(len(labels), dtype=object)
    for label in sorted(set(labels)):
        mine = np.flatnonzero(labels == label)
        units, unit_of = np.unique(twins[mine], return_inverse=True)
        means = np.stack([colours[mine[unit_of == unit]].mean(axis=0) for unit in range(len(units))])
        count = min(per_class, len(units))
        found = KMeans(count, n_init=10, random_state=seed).fit_predict(means)
        clusters[mine] = [f"{label} {cluster}" for cluster in found[unit_of]]
    return [str(cluster) for cluster in clusters]
