from pathlib import Path

import numpy as np
import pytest

from trainer.data.dataset import ImageFile
from trainer.data.description import load_description
from trainer.data.split import Part, check_split
from trainer.errors import DataError
from trainer.site.examples import Examples
from trainer.site.fine_tune import FOLDS, _folds, compare


def _examples(groups: list[int]) -> Examples:
    description = load_description("all4", Path())
    count = len(groups)
    labels = np.arange(count) % 2
    files = tuple(
        ImageFile(f"{description.codes[label]}/{index}.jpg", description.codes[label], f"{index:064x}")
        for index, label in enumerate(labels)
    )
    nothing = (None,) * count
    return Examples(
        folder=Path(),
        description=description,
        files=files,
        labels=labels,
        groups=np.array(groups),
        grouping="near-duplicate-and-time",
        captured_at=nothing,
        cameras=nothing,
        sizes_px=np.full((count, 2), 224),
        enlarged=np.zeros(count, np.bool_),
        unreadable=(),
    )


def test_every_picture_is_held_out_once_and_groups_stay_together() -> None:
    examples = _examples([index // 2 for index in range(60)])
    splits = list(_folds(examples, seed=0))
    held_out = np.array([[each.part is Part.TEST for each in split] for split in splits])
    assert len(splits) == FOLDS
    assert (held_out.sum(axis=0) == 1).all()
    for split in splits:
        check_split(split)
        assert {each.part for each in split} == set(Part)


def test_too_few_groups_are_one_clear_error() -> None:
    with pytest.raises(DataError, match="2 group"):
        list(_folds(_examples([0, 0, 1, 1] * 5), seed=0))


def test_a_head_wins_ties() -> None:
    right = np.arange(100) % 10 > 0
    groups = np.arange(100)
    assert not compare(right, right, groups, FOLDS).fine_tuned_is_better
    one_more = right.copy()
    one_more[0] = True
    assert not compare(right, one_more, groups, FOLDS).fine_tuned_is_better
    assert compare(right, np.ones(100, np.bool_), groups, FOLDS).fine_tuned_is_better


def test_pictures_of_one_group_count_as_one_when_the_two_are_compared() -> None:
    head = np.zeros(60, np.bool_)
    tuned = np.repeat([True, False, False], 20)
    assert compare(head, tuned, np.arange(60), FOLDS).fine_tuned_is_better
    assert not compare(head, tuned, np.repeat([0, 1, 2], 20), FOLDS).fine_tuned_is_better
