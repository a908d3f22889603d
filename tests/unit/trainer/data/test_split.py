from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.assignment import assign_parts
from trainer.data.dataset import ImageFile
from trainer.data.grouping import merge_groups
from trainer.data.split import Assignment, Part, check_split, read_split, write_split
from trainer.errors import DataError

LABELS = ("benign", "early-pre-b", "pre-b")


@st.composite
def grouped_labels(draw: st.DrawFn) -> tuple[list[str], np.ndarray]:
    """Classes of 10 to 30 groups of one to four near-duplicates, shuffled."""
    rows = []
    group = 0
    for label in LABELS:
        for size in draw(st.lists(st.integers(1, 4), min_size=10, max_size=30)):
            rows += [(label, group)] * size
            group += 1
    order = draw(st.randoms(use_true_random=False))
    order.shuffle(rows)
    return [label for label, _ in rows], np.array([group for _, group in rows])


@settings(max_examples=25, deadline=None)
@given(grouped_labels(), st.integers(0, 99))
def test_near_duplicates_are_on_one_side_and_every_class_in_every_part(
    rows: tuple[list[str], np.ndarray], seed: int
) -> None:
    labels, groups = rows
    parts = np.array(assign_parts(labels, groups, test_share=0.1, validation_share=0.1, seed=seed))
    for group in set(groups.tolist()):
        assert len(set(parts[groups == group])) == 1
    for part in Part:
        assert set(np.array(labels)[parts == part]) == set(LABELS)


def test_parts_have_their_shares_of_each_class() -> None:
    labels = ["benign"] * 200 + ["pre-b"] * 800
    parts = np.array(assign_parts(labels, np.arange(1000), test_share=0.1, validation_share=0.2, seed=3))
    for label, total in (("benign", 200), ("pre-b", 800)):
        mine = parts[np.array(labels) == label]
        assert (mine == Part.TEST).sum() == pytest.approx(0.1 * total, abs=2)
        assert (mine == Part.VALIDATION).sum() == pytest.approx(0.2 * total, abs=0.03 * total)


def test_the_same_seed_splits_alike_and_another_does_not() -> None:
    labels, groups = ["benign", "pre-b"] * 50, np.arange(100)
    first, again, other = (
        assign_parts(labels, groups, test_share=0.1, validation_share=0.1, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_class_of_one_field_in_many_copies_is_an_error() -> None:
    labels = ["benign"] * 5 + ["pre-b"] * 30
    groups = np.array([0] * 5 + list(range(1, 31)))
    with pytest.raises(DataError, match="class benign has 1 distinct"):
        assign_parts(labels, groups, test_share=0.1, validation_share=0.1, seed=1)


def _assignment(path: str, duplicates: int, part: Part, group: str | None = None) -> Assignment:
    return Assignment(ImageFile(path, "benign", f"{hash(path) & 0xFF:064x}", group), duplicates, part)


def test_a_split_survives_its_file(tmp_path: Path) -> None:
    assignments = [
        _assignment("Benign/a, b.png", 0, Part.TRAIN, "subject 1"),
        _assignment("Benign/c.png", 1, Part.TEST),
    ]
    write_split(tmp_path / "split.csv", assignments)
    again = read_split(tmp_path / "split.csv")
    assert again == assignments
    assert [each.file.group for each in again] == ["subject 1", None]


def test_a_split_without_the_column_group_is_read(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("path,label,sha256,twin_group,split\na.png,benign,00,0,test\n")
    assert read_split(tmp_path / "split.csv") == [Assignment(ImageFile("a.png", "benign", "00"), 0, Part.TEST)]


def test_a_split_with_a_group_on_both_sides_is_refused(tmp_path: Path) -> None:
    crossing = [_assignment("a.png", 1, Part.TRAIN, "H10"), _assignment("b.png", 2, Part.TEST, "H10")]
    write_split(tmp_path / "split.csv", crossing)
    with pytest.raises(DataError, match="another image of group H10 is in train"):
        read_split(tmp_path / "split.csv")


def test_a_split_that_names_missing_files_says_which_and_how_many(tmp_path: Path) -> None:
    write_split(tmp_path / "split.csv", [_assignment(f"{name}.png", i, Part.TRAIN) for i, name in enumerate("abc")])
    (tmp_path / "b.png").touch()
    with pytest.raises(DataError, match=r"names a\.png and 1 more"):
        read_split(tmp_path / "split.csv", tmp_path)


@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.sampled_from("abcd"))), min_size=1, max_size=30))
def test_joined_groups_hold_whatever_either_grouping_holds(rows: list[tuple[int, str | None]]) -> None:
    duplicates, groups = [row[0] for row in rows], [row[1] for row in rows]
    together = merge_groups(duplicates, groups)
    # Follow the links by hand: images are in the same unit exactly if a chain of links connects them.
    unit = list(range(len(rows)))
    for _ in rows:
        for i in range(len(rows)):
            for j in range(len(rows)):
                if duplicates[i] == duplicates[j] or (groups[i] is not None and groups[i] == groups[j]):
                    unit[i] = unit[j] = min(unit[i], unit[j])
    for i in range(len(rows)):
        for j in range(len(rows)):
            assert (together[i] == together[j]) == (unit[i] == unit[j])


def test_a_split_with_near_duplicates_on_both_sides_is_refused() -> None:
    with pytest.raises(DataError, match="near-duplicate"):
        check_split([_assignment("a.png", 7, Part.TRAIN), _assignment("b.png", 7, Part.TEST)])


def test_a_split_with_one_content_on_both_sides_is_refused() -> None:
    train = _assignment("a.png", 1, Part.TRAIN)
    copy = Assignment(replace(train.file, path="b.png"), 2, Part.TEST)
    with pytest.raises(DataError, match="the same content is in train"):
        check_split([train, copy])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path,label\na,b\n",
        "path,label,sha256,twin_group,split\n",
        "path,label,sha256,twin_group,split\na,b,c,x,train\n",
        "path,label,sha256,twin_group,split\na,b,c,0,practice\n",
        "path,label,sha256,twin_group,split\na,b\n",
    ],
    ids=["empty", "columns", "no image", "group", "part", "short line"],
)
def test_a_damaged_split_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(DataError, match=r"split\.csv"):
        read_split(tmp_path / "split.csv")


def test_a_missing_split_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_split(tmp_path / "none.csv")
