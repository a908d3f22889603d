"""Groups the pictures that belong together, so that no head is tested on what it was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import ImageFile
from trainer.data.grouping import merge_groups
from trainer.data.near_duplicates import DuplicatePair, find_near_duplicates, near_duplicate_groups
from trainer.site.examples import Grouping

PAUSE = timedelta(minutes=2)
"""Pictures taken within this time of each other may show the same slide."""
MOST_IN_BLOCK_RATIO = 0.05
"""A block of time ends after this share of the pictures, so that a session without a pause can be divided at all."""

MOST_ALIKE_RATIO = 0.1
_SMALL_GROUP = 4
_LEAST_CORRELATIONS = (0.0, 0.7, 0.8, 0.85, 0.9, 0.95)
"""At the last value and above, two pictures are of the same field, however many there are."""


def group_pictures(
    files: Sequence[ImageFile], captured_at: Sequence[datetime | None], thumbnails: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], Grouping]:
    """The group of each of n pictures, int64 (n,), and what makes a group.

    Groups are specimens, if every picture names one. If not, overlapping pictures are one group, and so are pictures
    taken together, and those of one specimen if it is named. ``thumbnails`` is uint8 RGB (n, h, w, 3).
    """
    specimens = [file.group for file in files]
    if None not in specimens:
        return np.unique(np.array(specimens), return_inverse=True)[1].astype(np.int64), "specimen"
    pairs = find_near_duplicates(thumbnails, [file.sha256 for file in files], workers=1)
    alike = _alike(len(files), pairs)
    taken_together = merge_groups(alike.tolist(), time_blocks(captured_at))
    return merge_groups(taken_together.tolist(), specimens), "near-duplicate-and-time"


def _alike(count: int, pairs: Sequence[DuplicatePair]) -> NDArray[np.int64]:
    """Group of each of ``count`` pictures, by the content that they share.

    Pictures of single cells all resemble each other: a cell in the middle of glass. While links between pictures join
    much of the set into one group, the weakest links are ignored.
    """
    groups = np.arange(count)
    for least in _LEAST_CORRELATIONS:
        groups = near_duplicate_groups(count, [pair for pair in pairs if pair.correlation >= least])
        if np.bincount(groups).max() <= max(_SMALL_GROUP, MOST_ALIKE_RATIO * count):
            break
    return groups


def time_blocks(captured_at: Sequence[datetime | None]) -> list[int | None]:
    """The number of each picture's block of time; None if the time is not known."""
    known = sorted((time, index) for index, time in enumerate(captured_at) if time is not None)
    most = max(1, round(MOST_IN_BLOCK_RATIO * len(known)))
    blocks: list[int | None] = [None] * len(captured_at)
    block, count, last = 0, 0, None
    for time, index in known:
        if last is not None and (time - last > PAUSE or count >= most):
            block, count = block + 1, 0
        blocks[index] = block
        count, last = count + 1, time
    return blocks
