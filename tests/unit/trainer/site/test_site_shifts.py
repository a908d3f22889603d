from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_agent.vision.decode import decode_image
from tests.unit.trainer.site.site_data import make_examples, make_validation
from trainer.evaluation.shifts import Shift
from trainer.site.examples import Examples
from trainer.site.shifts import choose_evenly, measure_site_shifts, site_shifts

COUNT = 10
LABELS = np.arange(COUNT) % 2
VALIDATION = make_validation(np.tile((0.9, 0.1), (COUNT, 1)))


@pytest.fixture
def examples(tmp_path: Path) -> Examples:
    """Dark pictures of the first class, bright ones of the second."""
    made = make_examples(LABELS, folder=tmp_path)
    for file, label in zip(made.files, LABELS, strict=True):
        (tmp_path / file.path).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), ("#404040", "#c0c0c0")[label]).save(tmp_path / file.path)
    return made


def brightness(field: NDArray[np.uint8]) -> tuple[NDArray[np.float32], bool]:
    return np.array([field.mean() / 255], np.float32), bool(field.mean() < 10)


def by_brightness(fold: int, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    del fold
    bright = features[:, 0] > 0.5
    return np.stack([np.where(bright, 0.1, 0.9), np.where(bright, 0.9, 0.1)], axis=1), np.where(
        features[:, 0] > 0.99, 9, 1
    )


def darken(by: float) -> Shift:
    return Shift("darker", f"x{by}", lambda field, _: np.asarray(cv2.convertScaleAbs(field, alpha=by), np.uint8))


def test_what_a_shift_changes_is_counted_by_class_and_by_refusal(examples: Examples) -> None:
    none, dark, black = measure_site_shifts(
        examples, VALIDATION, decode_image, brightness, by_brightness, shifts=[darken(1.0), darken(0.5), darken(0.0)]
    )
    assert (none.accuracy_ratio, none.refused_ratio, none.images_count) == (1.0, 0.0, COUNT)
    assert dark.accuracy_ratio == 0.5
    assert (black.accuracy_ratio, black.refusals) == (0.5, {"rejected": COUNT})


def test_an_unfamiliar_picture_counts_as_refused(examples: Examples) -> None:
    (white,) = measure_site_shifts(examples, VALIDATION, decode_image, brightness, by_brightness, shifts=[darken(9.0)])
    assert white.refusals == {"unfamiliar": COUNT // 2 * 2}
    assert white.refused_ratio == 1


def test_each_picture_is_judged_by_the_fold_that_did_not_see_it(examples: Examples) -> None:
    asked: dict[int, int] = {}

    def judge(fold: int, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        asked[fold] = asked.get(fold, 0) + len(features)
        return by_brightness(fold, features)

    measure_site_shifts(examples, VALIDATION, decode_image, brightness, judge, shifts=[darken(1.0)])
    assert asked == {fold: int((VALIDATION.folds == fold).sum()) for fold in range(5)}


def test_the_number_of_runs_of_the_network_is_bounded(examples: Examples) -> None:
    runs = 0

    def count(field: NDArray[np.uint8]) -> tuple[NDArray[np.float32], bool]:
        nonlocal runs
        runs += 1
        return brightness(field)

    rows = measure_site_shifts(examples, VALIDATION, decode_image, count, by_brightness, max_images=4)
    assert runs == 4 * len(site_shifts())
    assert {each.images_count for each in rows} == {4}


def test_pictures_that_are_gone_are_left_out(examples: Examples) -> None:
    (examples.folder / examples.files[0].path).unlink()
    (row,) = measure_site_shifts(examples, VALIDATION, decode_image, brightness, by_brightness, shifts=[darken(1.0)])
    assert row.images_count == COUNT - 1


def test_without_any_picture_there_is_no_table() -> None:
    rows = measure_site_shifts(make_examples(LABELS), VALIDATION, decode_image, brightness, by_brightness)
    assert rows == ()


def test_a_rare_class_is_chosen_as_often_as_the_others() -> None:
    labels = np.array([0] * 50 + [1] * 5 + [2] * 50)
    chosen = labels[choose_evenly(labels, 15, seed=0)]
    assert np.bincount(chosen).tolist() == [5, 5, 5]
