"""An export is what the trainer takes."""

from __future__ import annotations

import csv
import hashlib
import io
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels
from edge_agent.cameras.smear import draw_smear
from edge_agent.collection.collection import Collection
from edge_agent.collection.store import FrameStore
from edge_agent.contracts import EventKind, SpecimenField
from edge_agent.errors import CollectionBusy, CollectionEmpty, FileUnusable
from edge_agent.vision.decode import decode_image
from tests.kept import CONSENT, LABELS, Readings, Recorded, fill, make_collection
from trainer.cli import main as trainer
from trainer.data.split import read_split

CODES = [each.code for each in LABELS]


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[UUID, str]]:
    """Thirty labelled fields of fifteen specimens, and their labels."""
    folder = tmp_path_factory.mktemp("thirty") / "collection"
    readings, labels = Readings(), dict[UUID, str]()
    for number in range(30):
        code = CODES[number % 3]
        array, _ = draw_smear(np.random.default_rng(number), code, size_px=(240, 320))
        specimen = SpecimenField(id=f"S-{number // 2 % 5}-{number % 3}x", slide=1, field=number + 1)
        image = Pixels(array, ColourOrder.RGB)
        if number % 2:
            file = io.BytesIO()
            Image.fromarray(array).save(file, "JPEG", comment=b"Patient Doe")
            image = Encoded(file.getvalue())  # type: ignore[assignment]  # either kind
        (frame,) = fill(folder, 1, readings, image=image, specimen=specimen, label=code)
        labels[frame] = code
    collection = make_collection(folder)
    for frame, code in labels.items():
        collection.label(frame, "classes", code, by="work")
    return folder, labels


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def prepare(data: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.argv",
        [
            "trainer",
            "prepare",
            "--data",
            str(data),
            "--out",
            str(out),
            "--test-share",
            "0.2",
            "--validation-share",
            "0.2",
        ],
    )
    with pytest.raises(SystemExit) as ended:
        trainer()
    assert not ended.value.code


def assert_no_specimen_is_in_two_parts(split: Path, rows: Iterable[dict[str, str]]) -> None:
    specimens = {row["path"]: row["specimen"] for row in rows}
    parts: dict[str, set[str]] = {}
    with split.open(newline="") as file:
        for row in csv.DictReader(file):
            parts.setdefault(specimens[row["path"]], set()).add(row["split"])
    assert len(parts) == 15
    assert {len(found) for found in parts.values()} == {1}


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_the_trainer_prepares_a_split_that_keeps_specimens_apart(
    tmp_path: Path, thirty: tuple[Path, dict[UUID, str]], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder, labels = thirty
    out = tmp_path / ("export" if kind == "folder" else "export.zip")
    make_collection(folder).export("classes", out)
    data = out
    if kind == "zip":
        data = tmp_path / "unpacked"
        with zipfile.ZipFile(out) as archive:
            assert archive.testzip() is None
            archive.extractall(data)
    rows = rows_of((data / "manifest.csv").read_bytes())
    assert {UUID(row["item"]): row["label"] for row in rows} == labels
    split = tmp_path / "split.csv"
    prepare(data, split, monkeypatch)
    assert Counter(row["label"] for row in rows) == Counter(labels.values())
    assert len(read_split(split)) == 30
    assert_no_specimen_is_in_two_parts(split, rows)


def test_an_export_says_what_it_is_and_who_agreed(tmp_path: Path, thirty: tuple[Path, dict[UUID, str]]) -> None:
    folder, labels = thirty
    recorded, out = Recorded(), tmp_path / "export"
    summary = make_collection(folder, on_event=recorded).export("classes", out)
    assert (summary.pictures_count, summary.left_out_count, summary.damaged) == (30, 0, ())
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    pictures = {f"{code}/{frame}.jpg" for frame, code in labels.items()}
    assert names == pictures | {"manifest.csv", "dataset.toml", "labels.jsonl", "README.md"}
    described = tomllib.loads((out / "dataset.toml").read_text())
    # "pro-b" has no picture, and a class without one would be refused.
    assert [each["code"] for each in described["classes"]] == CODES[:3]
    assert [each["malignant"] for each in described["classes"]] == [False, True, True]
    assert CONSENT in described["source"]
    assert described["synthetic"] is False
    readme = (out / "README.md").read_text()
    assert CONSENT in readme
    assert "Research use only" in readme
    for row in rows_of((out / "manifest.csv").read_bytes()):
        content = (out / row["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert b"Doe" not in content
        assert decode_image(content).shape == (240, 320, 3)
        assert row["group"] == row["specimen"]
        assert (row["labelled_by"], row["model_label"], row["opinions_count"]) == ("work", row["label"], "1")
    assert recorded.events == [(EventKind.COLLECTION_EXPORTED, None)]


def test_only_labels_that_count_are_exported(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    labelled, unusable, disputed, _ = fill(folder, 4, label="pre-b")
    collection = make_collection(folder)
    collection.label(labelled, "classes", "pre-b", by="work")
    for _ in range(2):
        collection.label(unusable, "classes", "not_usable", by="work")
    collection.label(disputed, "classes", "benign", by="work")
    summary = collection.export("classes", tmp_path / "export")
    assert (summary.counts, summary.left_out_count) == ({"pre-b": 1}, 3)


def test_frames_without_a_specimen_stay_together_by_session(tmp_path: Path) -> None:
    folder, readings = tmp_path / "collection", Readings()
    (with_specimen,) = fill(folder, 1, readings, specimen=SpecimenField(id="S-7K3F", slide=1, field=1))
    without = fill(folder, 2, readings)
    collection = make_collection(folder)
    for frame in (with_specimen, *without):
        collection.label(frame, "classes", "benign", by="work")
    collection.export("classes", tmp_path / "export")
    groups = {row["item"]: row["group"] for row in rows_of((tmp_path / "export/manifest.csv").read_bytes())}
    assert groups[str(with_specimen)] == "S-7K3F"
    assert {groups[str(frame)] for frame in without} == {f"session-{readings.results.session}"}


def test_without_any_specimen_there_are_no_groups(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    (frame,) = fill(folder, 1)
    collection = make_collection(folder)
    collection.label(frame, "classes", "benign", by="work")
    assert not collection.export("classes", tmp_path / "export").has_specimens
    assert [row["group"] for row in rows_of((tmp_path / "export/manifest.csv").read_bytes())] == [""]
    assert "No specimens are named" in (tmp_path / "export/dataset.toml").read_text()


def test_a_damaged_picture_is_named_and_the_rest_is_exported(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    good, flipped, gone = fill(folder, 3)
    collection = make_collection(folder)
    for frame in (good, flipped, gone):
        collection.label(frame, "classes", "benign", by="work")
    content = bytearray((folder / f"{flipped}.jpg").read_bytes())
    content[-20] ^= 1
    (folder / f"{flipped}.jpg").write_bytes(content)
    (folder / f"{gone}.jpg").unlink()
    summary = collection.export("classes", tmp_path / "export")
    assert summary.damaged == (flipped, gone)
    assert [path.stem for path in (tmp_path / "export").rglob("*.jpg")] == [str(good)]


def test_drawn_frames_make_a_synthetic_data_set(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    (frame,) = fill(folder, 1)
    path = folder / f"{frame}.json"
    path.write_text(path.read_text().replace('"synthetic":false', '"synthetic":true'))
    collection = make_collection(folder)
    collection.label(frame, "classes", "benign", by="work")
    collection.export("classes", tmp_path / "export")
    assert tomllib.loads((tmp_path / "export/dataset.toml").read_text())["synthetic"] is True


def empty(folder: Path) -> Collection:
    fill(folder, 1)
    return make_collection(folder)


@pytest.mark.parametrize("name", ["export", "export.zip"])
def test_nothing_is_left_of_an_export_that_fails(tmp_path: Path, name: str) -> None:
    collection = empty(tmp_path / "collection")
    with pytest.raises(CollectionEmpty):
        collection.export("classes", tmp_path / "out" / name)
    with pytest.raises(CollectionEmpty):
        collection.export_zip("classes")
    assert list((tmp_path / "out").iterdir()) == []
    assert len(list((tmp_path / "collection").iterdir())) == 2


def test_where_nothing_was_ever_kept_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(CollectionEmpty):
        make_collection(tmp_path / "collection").export_zip("classes")
    assert not (tmp_path / "collection").exists()


def test_an_export_for_the_page_does_not_hold_up_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = fill(tmp_path, 3)
    collection = make_collection(tmp_path)
    for frame in frames:
        collection.label(frame, "classes", "benign", by="work")
    read: list[UUID] = []

    def picture(store: FrameStore, frame_id: UUID) -> bytes:
        read.append(frame_id)
        if len(read) == 2:
            collection.stop()
        return of_disk(store, frame_id)

    of_disk = FrameStore.picture
    monkeypatch.setattr(FrameStore, "picture", picture)
    with pytest.raises(CollectionBusy, match="stopping"):
        collection.export_zip("classes")
    assert len(read) == 2
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["export", "export.zip"])
def test_nothing_is_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileUnusable, match="exists already"):
        empty(tmp_path / "collection").export("classes", tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_unlabelled_fields_go_out_without_the_models_answer(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    first, second = fill(folder, 2, label="pre-b")
    collection = make_collection(folder)
    collection.label(first, "classes", "pre-b", by="work")
    collection.export("classes", tmp_path / "export", unlabelled=True)
    (row,) = rows_of((tmp_path / "export/manifest.csv").read_bytes())
    assert (row["path"], row["label"]) == (f"unlabelled/{second}.jpg", "")
    assert {name: value for name, value in row.items() if name.startswith("model_") and value} == {}
    assert not (tmp_path / "export/dataset.toml").exists()
    readme = (tmp_path / "export/README.md").read_text()
    assert "`pre-b`: Fields that are pre-b." in readme
