from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.cross_validation.folds import VALIDATION_SHARE, fold_splits, groups_of
from trainer.data.dataset import ImageFile
from trainer.data.split import Assignment, Part, check_split
from trainer.errors import DataError

CLASSES = ("benign", "pro-b")
FOLDS = 3


def _assignments(*images: tuple[str, int, str | None]) -> list[Assignment]:
    """Images of a class, a group of near-duplicates and a subject."""
    return [
        Assignment(ImageFile(f"{label}/{number}.png", label, f"sha-{number}", subject), alike, Part.TRAIN)
        for number, (label, alike, subject) in enumerate(images)
    ]


def _alone(per_class: int) -> list[Assignment]:
    return _assignments(
        *((label, row * per_class + n, None) for row, label in enumerate(CLASSES) for n in range(per_class))
    )


@st.composite
def _alike(draw: st.DrawFn) -> list[Assignment]:
    """Groups of one to four images that are alike, nine or more of each class, some of one subject."""
    images: list[tuple[str, int, str | None]] = []
    for label in CLASSES:
        sizes = draw(st.lists(st.integers(1, 4), min_size=9, max_size=16))
        subjects = draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
        first = len(images)
        for number, (size, known) in enumerate(zip(sizes, subjects, strict=True)):
            subject = f"{label}-{number // 2}" if known and number < 4 else None
            images += [(label, 100 * first + number, subject)] * size
    return _assignments(*images)


@settings(max_examples=25)
@given(_alike(), st.integers(0, 3))
def test_every_image_is_held_out_once_and_never_with_its_like_in_training(images: list[Assignment], seed: int) -> None:
    splits = fold_splits(images, FOLDS, seed)
    assert len(splits) == FOLDS
    held_out = Counter(each.file.path for split in splits for each in split if each.part is Part.TEST)
    assert held_out == Counter(each.file.path for each in images)
    groups = groups_of(images)
    for split in splits:
        check_split(split)
        assert [each.file for each in split] == [each.file for each in images]
        parts: dict[int, set[Part]] = {}
        for group, each in zip(groups.tolist(), split, strict=True):
            parts.setdefault(group, set()).add(each.part)
        assert all(len(found) == 1 for found in parts.values())
        for part in Part:
            assert {each.file.label for each in split if each.part is part} == set(CLASSES)


def test_the_parts_are_as_large_as_they_should_be() -> None:
    for split in fold_splits(_alone(100), 5, 1):
        counts = Counter(each.part for each in split)
        assert counts[Part.TEST] == 200 / 5
        assert counts[Part.VALIDATION] == pytest.approx(200 * VALIDATION_SHARE, abs=2)


def test_the_same_seed_divides_in_the_same_way() -> None:
    assert fold_splits(_alone(20), 5, 3) == fold_splits(_alone(20), 5, 3) != fold_splits(_alone(20), 5, 4)


def test_a_class_with_fewer_groups_than_folds_is_named() -> None:
    # Twenty images of pro-b, but from only two fields.
    images = _assignments(*(("benign", n, None) for n in range(20)), *(("pro-b", 50 + n % 2, None) for n in range(20)))
    with pytest.raises(DataError, match=r"class pro-b has 2 distinct .* too few for 3 folds"):
        fold_splits(images, FOLDS, 1)
