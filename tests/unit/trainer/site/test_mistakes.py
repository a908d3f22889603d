from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.site.site_data import make_examples, make_features, make_validation
from trainer.site.mistakes import MAX_SHOWN, find_mistakes, write_contact_sheet

LABELS = np.array([0, 0, 1, 1])
EARLY = np.array([0.1, 0.7, 0.95, 0.05])
VALIDATION = make_validation(np.stack([1 - EARLY, EARLY], axis=1))


def test_only_what_is_named_otherwise_is_a_mistake_and_the_most_doubted_comes_first() -> None:
    examples = make_examples(LABELS)
    first, second = find_mistakes(examples, VALIDATION)
    assert (first.path, first.label, first.predicted) == ("early/003.jpg", "early", "benign")
    assert first.predicted_ratio == pytest.approx(0.95)
    assert first.doubt_ratio == pytest.approx(0.95)
    assert first.sha256 == examples.files[3].sha256
    assert (second.path, second.predicted, second.number) == ("benign/001.jpg", "early", 2)


def test_the_sheet_shows_each_picture_itself(tmp_path: Path) -> None:
    examples = make_examples(LABELS, folder=tmp_path)
    for file, colour in zip(examples.files, ("red", "green", "white", "blue"), strict=True):
        path = tmp_path / file.path
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (300, 300), colour).save(path)
    write_contact_sheet(tmp_path / "report" / "sheet.png", find_mistakes(examples, VALIDATION), examples, THUMBNAILS)
    with Image.open(tmp_path / "report" / "sheet.png") as sheet:
        pixels = np.asarray(sheet).astype(int)
    # The label of the blue picture is doubted most, then that of the green one.
    blue = (pixels[..., 2] > 200) & (pixels[..., :2].max(axis=-1) < 60)
    green = (pixels[..., 1] > 90) & (pixels[..., [0, 2]].max(axis=-1) < 60)
    assert blue.sum() >= 200 * 200
    assert green.sum() >= 200 * 200
    assert np.argwhere(blue)[:, 1].max() < np.argwhere(green)[:, 1].min()


THUMBNAILS = make_features(4).thumbnails


def test_a_picture_that_is_gone_is_shown_by_its_thumbnail(tmp_path: Path) -> None:
    examples = make_examples(LABELS, folder=tmp_path / "gone")
    write_contact_sheet(tmp_path / "sheet.png", find_mistakes(examples, VALIDATION), examples, THUMBNAILS)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert (np.asarray(sheet) == 200).all(axis=-1).sum() >= 2 * 220 * 220


def test_a_sheet_of_many_mistakes_stays_one_page(tmp_path: Path) -> None:
    count = MAX_SHOWN + 30
    examples = make_examples(np.zeros(count, np.int64), folder=tmp_path / "gone")
    validation = make_validation(np.tile((0.2, 0.8), (count, 1)))
    mistakes = find_mistakes(examples, validation)
    assert len(mistakes) == count
    write_contact_sheet(tmp_path / "sheet.png", mistakes, examples, make_features(count).thumbnails)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height < 16 * 320


def test_a_very_long_name_stays_within_its_column(tmp_path: Path) -> None:
    names = ("benign/" + "m" * 200 + ".jpg", "b.jpg", "c.jpg", "d.jpg")
    examples = make_examples(np.array([1, 0, 1, 0]), folder=tmp_path / "gone", names=names)
    mistakes = find_mistakes(examples, VALIDATION)[:1]
    assert mistakes[0].path == names[0]
    write_contact_sheet(tmp_path / "sheet.png", mistakes, examples, THUMBNAILS)
    with Image.open(tmp_path / "sheet.png") as sheet:
        below = np.asarray(sheet.convert("L"))[330:]
    assert (below[:, 250:] == 255).all()
    assert (below[:, :250] < 200).any()
