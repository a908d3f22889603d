import csv
import shutil
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.cameras.smear import draw_smear
from edge_agent.errors import ImageError
from edge_agent.inference import Classifier, load_bundle
from trainer.errors import DataError
from trainer.site.examples import Examples
from trainer.site.features import SiteFeatures
from trainer.site.picture import PictureMeter
from trainer.site.reading import read_site

from .site_data import make_description

KIND = "field-description@2"
CODES = ("benign", "early")
SIZES_PX = ((224, 224), (320, 240), (100, 75))
"""The last size is smaller than a field may be."""


@pytest.fixture(scope="module")
def demo() -> Classifier:
    return Classifier(load_bundle("demo"))


def png(seed: int, width_px: int, height_px: int) -> bytes:
    field, _ = draw_smear(np.random.default_rng(seed), "benign", size_px=(height_px, width_px))
    return cv2.imencode(".png", cv2.cvtColor(field, cv2.COLOR_RGB2BGR))[1].tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    for number, code in enumerate(CODES):
        (root / code).mkdir()
        for size, (width, height) in enumerate(SIZES_PX):
            (root / code / f"{size}.png").write_bytes(png(10 * number + size, width, height))
    (root / "early" / "broken.png").write_bytes(png(0, 224, 224)[:-500])
    (root / "early" / "notes.txt").write_text("not a picture")
    return root


def read(
    folder: Path, demo: Classifier, *, table: Path | None = None, cache: Path | None = None
) -> tuple[Examples, SiteFeatures]:
    return read_site(folder, make_description(CODES), demo, KIND, table=table, cache=cache, variants=1)


def test_what_is_not_a_picture_is_skipped_and_small_ones_are_enlarged(folder: Path, demo: Classifier) -> None:
    examples, features = read(folder, demo)
    assert [each.path for each in examples.unreadable] == ["early/broken.png", "early/notes.txt"]
    assert examples.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert examples.enlarged.tolist() == [False, False, True] * 2
    assert examples.sizes_px.tolist() == [list(size) for size in SIZES_PX] * 2
    assert [reason == "field_too_small" for reason in features.reasons] == [False, False, True] * 2
    assert features.features.shape == (6, features.varied.shape[2])
    assert features.varied.shape[1] == 1
    assert np.isfinite(features.features).all()


def test_features_are_those_that_the_device_would_use(folder: Path, demo: Classifier) -> None:
    _, features = read(folder, demo)
    meter = PictureMeter(demo, KIND)
    field = meter.field((folder / "benign" / "1.png").read_bytes())
    assert np.array_equal(meter.describe(field), features.features[1])


def test_the_table_says_when_and_with_what(folder: Path, demo: Classifier, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    with (data / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "group", "captured_at", "device"))
        rows.writerow(("benign/0.png", "benign", "s1", "2026-05-04T08:00:00.000Z", "scope-1"))
        rows.writerow(("early/0.png", "early", "s2", "yesterday", ""))
    examples, _ = read(data, demo, table=data / "manifest.csv")
    assert examples.grouping == "specimen"
    assert examples.specimens_count == 2
    assert examples.captured_at == (datetime(2026, 5, 4, 8, tzinfo=UTC), None)
    assert examples.cameras == ("scope-1", None)


def test_a_class_without_a_picture_is_one_clear_error(folder: Path, demo: Classifier, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    for path in (data / "early").glob("[0-9].png"):
        path.unlink()
    with pytest.raises(DataError, match=r"class early has no picture that can be read \(early/broken.png"):
        read(data, demo)


def test_what_was_measured_once_is_not_measured_again(
    folder: Path, demo: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = read(folder, demo, cache=tmp_path)
    kept = sorted(tmp_path.rglob("*.npz"))
    assert len(kept) == 6
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    measured: list[bytes] = []
    measure = PictureMeter.measure

    def counted(self: PictureMeter, data: bytes, seed: int, *, variants: int) -> object:
        measured.append(data)
        return measure(self, data, seed, variants=variants)

    monkeypatch.setattr(PictureMeter, "measure", counted)
    _, second = read(folder, demo, cache=tmp_path)
    # The two files that cannot be read, and the one that was damaged.
    assert len(measured) == 3
    assert np.array_equal(first.varied, second.varied)
    assert first.appearances == second.appearances
    assert first.reasons == second.reasons


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 400), (10, 7)])
def test_pictures_of_any_shape_become_a_field_or_one_error(demo: Classifier, width: int, height: int) -> None:
    picture = cv2.imencode(".png", np.full((height, width, 3), 200, np.uint8))[1].tobytes()
    try:
        measured = PictureMeter(demo, KIND).measure(picture, 0, variants=0)
    except ImageError:
        return
    assert measured.enlarged
    assert (measured.width_px, measured.height_px) == (width, height)
