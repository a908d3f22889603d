"""'trainer prepare': a split made once and kept, so that every run and every figure is of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.assignment import assign_files
from trainer.data.dataset import Unreadable, read_dataset
from trainer.data.description import Description
from trainer.data.near_duplicates import find_near_duplicates, near_duplicate_groups
from trainer.data.split import Assignment, write_split
from trainer.data.split_policy import Disjoint, Shares
from trainer.data.stain_clusters import stain_clusters
from trainer.errors import DataError


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
    twins = near_duplicate_groups(
        len(known), find_near_duplicates(dataset.fields, [file.sha256 for file in dataset.files])
    )
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
