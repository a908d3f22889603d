"""Finds images that belong together but are in different parts of a split."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.settings import Settings
from trainer.data.dataset import Dataset
from trainer.data.near_duplicates import DuplicatePair
from trainer.data.split import Assignment
from trainer.errors import DataError


class Leak(Settings):
    """Two images in different parts of a split that belong together."""

    what: str
    first: str
    second: str


def find_leaks(dataset: Dataset, pairs: Sequence[DuplicatePair], split: Sequence[Assignment]) -> tuple[Leak, ...]:
    """Near-duplicates, equal files and groups in more than one part.

    ``pairs`` are the near-duplicates found in the images themselves, whatever the split says. Raises ``DataError`` if
    the split and the data set do not have the same images.
    """
    given = {each.file.path: each for each in split}
    if odd := sorted({file.path for file in dataset.files} ^ set(given)):
        raise DataError(
            f"{odd[0]} and {len(odd) - 1} more images are in the data or in the split, but not in both.",
            remedy="Give the split that was made from these data.",
        )
    parts = [given[file.path].part for file in dataset.files]
    leaks = [
        Leak(what="near-duplicates", first=dataset.files[pair.first].path, second=dataset.files[pair.second].path)
        for pair in pairs
        if parts[pair.first] is not parts[pair.second]
    ]
    first_of: dict[str, int] = {}
    for index, file in enumerate(dataset.files):
        group = file.group or given[file.path].file.group
        if group is None:
            continue
        first = first_of.setdefault(group, index)
        if parts[first] is not parts[index]:
            leaks.append(Leak(what=f"group {group}", first=dataset.files[first].path, second=file.path))
    return tuple(leaks)
