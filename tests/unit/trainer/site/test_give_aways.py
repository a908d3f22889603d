from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.site.site_data import MORNING, make_examples, make_features
from trainer.site.examples import Examples
from trainer.site.give_aways import GiveAway, find_give_aways

COUNT = 40
LABELS = np.arange(COUNT) % 2
FOLDS = np.arange(COUNT) // 2 % 5


def found(examples: Examples, **features: object) -> dict[str, GiveAway]:
    made = make_features(COUNT, **features)  # type: ignore[arg-type]  # options of it
    return {each.name: each for each in find_give_aways(examples, made, FOLDS)}


def test_labels_that_follow_the_size_of_the_image_are_called_out() -> None:
    sizes = np.where(LABELS[:, None] == 0, (640, 480), (1280, 960))
    size = found(make_examples(LABELS, sizes_px=sizes))["image size"]
    assert size.gives_away
    assert size.warning == (
        "The size of the image alone gives the label in 100 of 100 cases; by chance it would be 50. "
        "A model may learn the camera instead of the cells. "
        "Take images of each class with the same camera and settings."
    )


def test_labels_that_follow_the_size_in_most_cases_are_called_out_with_how_many() -> None:
    sizes = np.where(LABELS[:, None] == 0, (640, 480), (1280, 960))
    sizes[:6] = sizes[:6][::-1].copy()
    size = found(make_examples(LABELS, sizes_px=sizes))["image size"]
    assert size.gives_away
    assert size.accuracy_ratio == pytest.approx(0.85, abs=0.03)
    assert size.accuracy_interval_ratio[0] < size.accuracy_ratio < size.accuracy_interval_ratio[1]


def test_labels_that_follow_the_camera_are_called_out() -> None:
    cameras = tuple("ABC"[label] for label in LABELS)
    assert found(make_examples(LABELS, cameras=cameras))["camera"].gives_away


def test_labels_that_follow_the_background_are_called_out() -> None:
    backgrounds = np.random.default_rng(0).normal(size=(COUNT, 6)).astype(np.float32)
    backgrounds[:, 0] += 8 * LABELS
    assert found(make_examples(LABELS), backgrounds=backgrounds)["background colour"].gives_away


def test_labels_that_follow_the_time_are_called_out() -> None:
    times = tuple(MORNING + timedelta(days=int(label), minutes=5 * index) for index, label in enumerate(LABELS))
    assert found(make_examples(LABELS, captured_at=times))["time of capture"].gives_away


def test_labels_that_follow_how_the_file_was_stored_are_called_out(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), "pink")
    names = tuple(f"{index:02}.jpg" for index in range(COUNT))
    for name, label in zip(names, LABELS, strict=True):
        picture.save(tmp_path / name, quality=(95, 60)[label])
    (tmp_path / names[0]).write_bytes(b"no picture any more")
    stored = found(make_examples(LABELS, folder=tmp_path, names=names))["file format"]
    assert stored.gives_away
    assert stored.accuracy_ratio >= 39 / 40


def test_what_is_not_known_or_never_varies_is_not_tried() -> None:
    assert set(found(make_examples(LABELS))) == {"background colour"}


def test_a_time_that_only_some_pictures_have_is_not_tried() -> None:
    times = (None, *(MORNING + timedelta(minutes=index) for index in range(COUNT - 1)))
    assert "time of capture" not in found(make_examples(LABELS, captured_at=times))


def test_the_share_of_the_commonest_class_is_no_give_away() -> None:
    labels = np.array([1] * 32 + [0] * 8)
    examples = make_examples(labels, sizes_px=np.tile(((640, 480), (1280, 960)), (20, 1)))
    size = found(examples)["image size"]
    assert size.chance_ratio == pytest.approx(0.8)
    assert size.accuracy_ratio == pytest.approx(0.8)
    assert not size.gives_away
    assert size.warning is None


def test_a_little_above_chance_is_no_give_away_however_many_pictures_show_it() -> None:
    labels = np.arange(4000) % 2
    sizes = np.where((labels ^ (np.random.default_rng(0).random(4000) > 0.535))[:, None], (640, 480), (1280, 960))
    examples = make_examples(labels, sizes_px=sizes)
    size = find_give_aways(examples, make_features(4000), np.arange(4000) // 2 % 5)[1]
    assert size.name == "image size"
    assert size.accuracy_interval_ratio[0] > size.chance_ratio
    assert not size.gives_away


def test_shuffled_labels_are_hardly_ever_called_out() -> None:
    alarms = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        examples = make_examples(
            rng.permutation(LABELS),
            sizes_px=rng.choice(((640, 480), (1280, 960)), COUNT),
            cameras=tuple(rng.choice(["A", "B"], COUNT).tolist()),
        )
        alarms += any(each.gives_away for each in found(examples).values())
    assert alarms == 0
