"""Images that cross a split and should not."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.settings import Settings
from trainer.data.dataset import Dataset
from trainer.data.near_duplicates import DuplicatePair
from trainer.data.split import Assignment
from trainer.errors import DataError


class Leak(Settings):
    """Two images that are on two sides of a split and should not be."""

    what: str
    first: str
    second: str


def find_leaks(dataset: Dataset, pairs: Sequence[DuplicatePair], split: Sequence[Assignment]) -> tuple[Leak, ...]:
    """DuplicatePair, contents and groups on more than one side, the split's own word for twins not being taken.

    Raises ``DataError`` if the split names an image that the data set has not, or the other way round.
    """
    given = {each.file.path: each for each in split}
    if odd := sorted({file.path for file in dataset.files} ^ set(given)):
        raise DataError(
            f"{odd[0]} and {len(odd) - 1} more are either in the data or in the split, not in both.",
            remedy="Name the split that was made of these data.",
        )
    parts = [given[file.path].part for file in dataset.files]
    leaks = [
        Leak(what="twins", first=dataset.files[pair.first].path, second=dataset.files[pair.second].path)
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
