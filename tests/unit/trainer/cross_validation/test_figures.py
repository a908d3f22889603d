from __future__ import annotations

from pathlib import Path

import pytest

from trainer.cross_validation.figures import pool_folds
from trainer.cross_validation.plan import Plan, Recipe
from trainer.cross_validation.results import FoldResult, HeldOutImage
from trainer.cross_validation.table import rows, to_markdown
from trainer.data.dataset import ImageFile
from trainer.data.description import Description, load_description
from trainer.data.split import Assignment, Part

PLAN = Plan(split_sha256="0", folds=3, seed=1, recipe=Recipe(weights="weights.npz"))
DRAWS = 2


@pytest.fixture(scope="module")
def described() -> Description:
    return load_description("all4", Path())


def _results(described: Description, wrong: dict[int, int], count: int = 20) -> list[FoldResult]:
    """Folds of ``count`` images, all of the last class; in each, the first ``wrong`` are taken for another class."""
    codes = described.codes
    return [
        FoldResult(
            fold=fold,
            training_count=30,
            validation_count=10,
            model_sha256="0",
            draws=DRAWS,
            images=tuple(
                HeldOutImage(
                    path=f"{fold}-{number}",
                    label=codes[-1],
                    probabilities=(0.7, 0.1, 0.1, 0.1) if number < errors else (0.1, 0.1, 0.1, 0.7),
                    reason="low_confidence" if number == 0 else None,
                    shifted_right_count=1,
                    shifted_answered_count=2 if number else 0,
                )
                for number in range(count)
            ),
        )
        for fold, errors in wrong.items()
    ]


def _assignments(results: list[FoldResult], images_per_group: int = 1) -> list[Assignment]:
    paths = [image.path for result in results for image in result.images]
    # Not in the order of the folds.
    return [
        Assignment(ImageFile(path, "pro-b", path), number // images_per_group, Part.TRAIN)
        for number, path in sorted(enumerate(paths), key=lambda each: each[1][::-1])
    ]


def test_every_image_counts_once_in_the_whole_and_in_its_fold(described: Description) -> None:
    results = _results(described, {1: 2, 2: 0, 3: 1})
    found = pool_folds(results, _assignments(results), described, PLAN)
    assert (found.images_count, found.groups_count) == (60, 60)
    assert found.figures.accuracy_ratio == pytest.approx(57 / 60)
    assert [fold.accuracy_ratio for fold in found.folds] == pytest.approx([18 / 20, 1, 19 / 20])
    assert [fold.refused_ratio for fold in found.folds] == pytest.approx([1 / 20] * 3)
    assert found.figures.refused_ratio == pytest.approx(3 / 60)
    # The first image of two folds is wrong and refused, so one wrong answer is left.
    assert found.figures.answered_accuracy_ratio == pytest.approx(56 / 57)
    assert found.shifted_accuracy_ratio == pytest.approx(0.5)
    assert found.shifted_answered_ratio == pytest.approx(57 / 60)


def test_images_that_are_alike_are_worth_less_than_as_many_that_are_not(described: Description) -> None:
    results = _results(described, {1: 5, 2: 0, 3: 5})
    widths = []
    for images_per_group in (1, 5):
        found = pool_folds(results, _assignments(results, images_per_group), described, PLAN)
        low, high = (found.figures.intervals or {})["accuracy_ratio"]
        assert low < found.figures.accuracy_ratio < high
        widths.append(high - low)
    assert found.groups_count == 12
    assert widths[1] > 1.5 * widths[0]


def test_more_images_give_a_narrower_interval(described: Description) -> None:
    widths = []
    for count in (20, 320):
        results = _results(described, dict.fromkeys((1, 2, 3), count // 10), count)
        low, high = (pool_folds(results, _assignments(results), described, PLAN).figures.intervals or {})[
            "accuracy_ratio"
        ]
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.3)


def test_the_table_has_a_row_per_fold_and_one_of_all(described: Description) -> None:
    results = _results(described, {1: 2, 2: 0, 3: 1})
    found = pool_folds(results, _assignments(results), described, PLAN)
    names, images, accuracies, *_ = zip(*rows(found), strict=True)
    assert names == ("1", "2", "3", "all")
    assert images == ("20", "20", "20", "60")
    assert [each.split(" %")[0] for each in accuracies] == ["90.00", "100.00", "95.00", "95.00"]
    low, high = (found.figures.intervals or {})["accuracy_ratio"]
    assert f"(95 %: {100 * low:.2f} % to {100 * high:.2f} %)" in to_markdown(found).splitlines()[-1]
