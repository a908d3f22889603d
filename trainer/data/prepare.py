"""'trainer prepare': makes a split once and keeps it, so that every run and every figure uses the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.assignment import assign_files
from trainer.data.dataset import Unreadable, read_dataset
from trainer.data.description import Description
from trainer.data.listing import list_images
from trainer.data.near_duplicates import find_near_duplicates, near_duplicate_groups
from trainer.data.split import Assignment, write_split
from trainer.data.split_policy import Disjoint, Shares
from trainer.data.stain_clusters import stain_clusters
from trainer.errors import DataError
from trainer.files import check_output_folder, make_folder


@dataclass(frozen=True, slots=True)
class NewSplit:
    """A split, and the images left out of it."""

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
) -> NewSplit:
    """Read the images, find near-duplicates, split, and write the CSV file ``out``.

    Without ``disjoint``, groups are kept apart if the data have any; if not, only near-duplicates are. Raises
    ``DataError`` or ``OutputUnwritable``.
    """
    if out.exists():
        raise DataError(f"{out} already exists.", remedy="Name another --out: figures may depend on the old split.")
    check_output_folder(out.parent)
    known = [listed.group for listed in list_images(data, description, table)]
    chosen = disjoint or (Disjoint.NEAR_DUPLICATES if known.count(None) == len(known) else Disjoint.GROUPS)
    if chosen is Disjoint.GROUPS and None in known:
        raise DataError(
            f"{known.count(None)} of {len(known)} images have no group.",
            remedy="Give --table with a group for every image, or --disjoint near-duplicates or stains.",
        )
    dataset = read_dataset(data, description, table)
    duplicates = near_duplicate_groups(
        len(dataset.files), find_near_duplicates(dataset.fields, [file.sha256 for file in dataset.files])
    )
    groups: Sequence[str | None] = [None] * len(dataset.files)
    if chosen is Disjoint.GROUPS:
        groups = [file.group for file in dataset.files]
    elif chosen is Disjoint.STAINS:
        groups = stain_clusters(dataset, duplicates, clusters_per_class, seed)
    assignments = assign_files(
        dataset, duplicates, groups, test_share=shares.test, validation_share=shares.validation, seed=seed
    )
    make_folder(out.parent)
    write_split(out, assignments)
    return NewSplit(tuple(assignments), dataset.unreadable, chosen)
