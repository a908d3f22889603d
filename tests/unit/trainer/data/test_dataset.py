from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.vision.field import Geometry
from trainer.data.dataset import ImageFile, read_dataset, read_files
from trainer.data.description import load_description
from trainer.data.synthesis import synthesise
from trainer.errors import DataError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "data"
    synthesise(folder, per_class=3, seed=5)
    return folder


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "data"))


def test_all_images_of_all_classes_are_read(data: Path) -> None:
    dataset = read_dataset(data, load_description(None, data))
    assert dataset.fields.shape == (12, 224, 224, 3)
    assert [file.label for file in dataset.files[::3]] == ["benign", "early-pre-b", "pre-b", "pro-b"]
    assert dataset.files[0].path == "Benign/benign-0000.png"
    assert dataset.unreadable == ()


def test_the_same_seed_draws_the_same_data(data: Path, tmp_path: Path) -> None:
    description = synthesise(tmp_path / "again", per_class=3, seed=5)
    assert read_dataset(tmp_path / "again", description).sha256 == read_dataset(data, description).sha256


def test_drawing_over_existing_data_is_refused(data: Path) -> None:
    with pytest.raises(DataError, match="not empty"):
        synthesise(data, per_class=3, seed=5)


def test_unreadable_files_are_listed_and_the_rest_is_read(data: Path) -> None:
    (data / "Pre" / "notes.txt").write_text("no image")
    whole = (data / "Pro" / "pro-b-0000.png").read_bytes()
    (data / "Pro" / "pro-b-0000.png").write_bytes(whole[: len(whole) // 2])
    dataset = read_dataset(data, load_description(None, data))
    assert [each.path for each in dataset.unreadable] == ["Pre/notes.txt", "Pro/pro-b-0000.png"]
    assert len(dataset.files) == 11


def test_an_empty_class_is_one_clear_error(data: Path) -> None:
    for path in (data / "Early").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="Early has no readable image"):
        read_dataset(data, load_description(None, data))


def test_a_missing_class_folder_is_one_clear_error(data: Path) -> None:
    shutil.rmtree(data / "Early")
    with pytest.raises(DataError, match="no class folder Early"):
        read_dataset(data, load_description(None, data))


def test_a_folder_that_is_no_class_is_one_clear_error(data: Path) -> None:
    (data / "T-lineage").mkdir()
    with pytest.raises(DataError, match="T-lineage"):
        read_dataset(data, load_description(None, data))


def test_pictures_of_another_size_are_cut_by_the_datas_geometry(data: Path) -> None:
    path = data / "dataset.toml"
    classes = path.read_text()
    field = '[field]\naspect_width = 4\naspect_height = 3\nfit = "stretch"\n\n[[classes]]'
    path.write_text(classes.replace("[[classes]]", field, 1))
    image = min((data / "Benign").glob("*.png"))
    small = cv2.imread(str(image))
    assert small is not None
    cv2.imwrite(str(image), cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC))
    read = read_dataset(data, load_description(None, data)).fields[0]
    assert np.abs(read[..., ::-1].astype(int) - small).mean() < 4
    path.write_text(classes)
    cropped = read_dataset(data, load_description(None, data)).fields[0]
    assert np.abs(cropped[..., ::-1].astype(int) - small).mean() > 10


def test_a_missing_data_folder_is_one_clear_error(data: Path) -> None:
    with pytest.raises(DataError, match="no data folder"):
        read_dataset(data / "none", load_description(None, data))


def test_an_image_that_changed_since_the_split_is_refused(data: Path) -> None:
    path = "Benign/benign-0000.png"
    with pytest.raises(DataError, match="has changed"):
        read_files(data, [ImageFile(path, "benign", "0" * 64)], Geometry())


def test_an_image_that_vanished_since_the_split_is_refused(data: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png"):
        read_files(data, [ImageFile("Benign/gone.png", "benign", "0" * 64)], Geometry())


def test_data_without_a_description_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.toml"):
        load_description(None, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("synthetic = true", "synthetic = maybe", "not TOML"),
        ("synthetic = true", "", "synthetic"),
        ('code = "pro-b"', 'code = "benign"', "share a code"),
        ('licence = "', 'license = "', "licen"),
    ],
    ids=["syntax", "missing key", "same code", "unknown key"],
)
def test_a_wrong_description_names_what_is_wrong(data: Path, old: str, new: str, complaint: str) -> None:
    path = data / "dataset.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=complaint):
        load_description(None, data)


def test_fewer_than_two_classes_is_one_clear_error(data: Path) -> None:
    path = data / "dataset.toml"
    path.write_text("[[classes]]".join(path.read_text().split("[[classes]]")[:2]))
    with pytest.raises(DataError, match="at least two classes"):
        load_description(None, data)


def test_the_shipped_description_of_the_real_data_says_what_benign_means(tmp_path: Path) -> None:
    description = load_description("all4", tmp_path)
    assert description.codes == ("benign", "early-pre-b", "pre-b", "pro-b")
    assert [each.malignant for each in description.classes] == [False, True, True, True]
    assert "ematogones" in description.classes[0].meaning
    assert not description.synthetic


def _table(data: Path, *rows: str) -> Path:
    path = data / "table.csv"
    path.write_text("\n".join(("path,label,group", *rows)) + "\n")
    return path


def _rows(data: Path) -> list[str]:
    """All images, with the last digit of their number as group."""
    return [f"{path.relative_to(data)},{path.parent.name},s{path.stem[-1]}" for path in sorted(data.rglob("*.png"))]


def test_a_table_gives_images_classes_and_groups(data: Path) -> None:
    dataset = read_dataset(data, load_description(None, data), _table(data, *_rows(data)))
    assert {(file.label, file.group) for file in dataset.files} == {
        (label, group) for label in ("benign", "early-pre-b", "pre-b", "pro-b") for group in ("s0", "s1", "s2")
    }
    assert set(dataset.files) == set(read_dataset(data, load_description(None, data)).files)


def test_the_description_may_name_the_table(data: Path) -> None:
    _table(data, *_rows(data)[:-1])
    # Files that the table does not list are not images of the data set, not even another folder's.
    (data / "unsorted").mkdir()
    described = load_description(None, data).model_copy(update={"table": "table.csv"})
    files = read_dataset(data, described).files
    assert len(files) == len(_rows(data)) - 1
    assert {file.group for file in files} == {"s0", "s1", "s2"}
    other = data / "other.csv"
    other.write_text((data / "table.csv").read_text().replace("s0", "s9"))
    assert {file.group for file in read_dataset(data, described, other).files} == {"s9", "s1", "s2"}
    (data / "table.csv").unlink()
    with pytest.raises(DataError, match=r"table\.csv cannot be read"):
        read_dataset(data, described)


def test_a_tables_paths_are_relative_to_the_table(data: Path) -> None:
    table = data.parent / "table.csv"
    table.write_text("path,label\n" + "".join(f"{data.name}/{row.rsplit(',', 1)[0]}\n" for row in _rows(data)))
    dataset = read_dataset(data, load_description(None, data), table)
    assert dataset.files[0].path == "Benign/benign-0000.png"
    assert dataset.files[0].group is None


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("Benign/gone.png,Benign,s1", r"line 14 names Benign/gone\.png, which does not exist"),
        ("Benign/benign-0000.png,T-lineage,s1", "line 14 .* class T-lineage"),
        ("Benign/benign-0000.png,Benign,s1", "line 14 .*a second time"),
        ("../elsewhere.png,Benign,s1", "not below"),
    ],
    ids=["missing file", "unknown class", "twice", "outside"],
)
def test_a_wrong_line_of_a_table_is_one_clear_error(data: Path, row: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read_dataset(data, load_description(None, data), _table(data, *_rows(data), row))


@pytest.mark.parametrize(
    "content", [None, b"file,class\n", b"path,label\n\xff\xfe,x\n"], ids=["absent", "columns", "no text"]
)
def test_an_unusable_table_is_one_clear_error(data: Path, content: bytes | None) -> None:
    path = data / "table.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"table\.csv"):
        read_dataset(data, load_description(None, data), path)


def test_a_file_is_the_same_whether_or_not_its_group_is_known() -> None:
    assert ImageFile("a.png", "benign", "00", "s1") == ImageFile("a.png", "benign", "00")


def test_all_wrong_lines_of_a_table_are_named_at_once(data: Path) -> None:
    rows = ("Benign/gone.png,Benign,s1", ",Benign,s1", "Benign/benign-0000.png", "a.png,Unknown,s1", "../b.png,Pre,")
    with pytest.raises(DataError, match="5 wrong lines") as raised:
        read_dataset(data, load_description(None, data), _table(data, *rows))
    assert [line.split()[1] for line in raised.value.message.splitlines()[1:]] == ["2", "3", "4", "5", "6"]


def test_a_table_saved_with_a_byte_order_mark_is_read(data: Path) -> None:
    path = _table(data, *_rows(data))
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert read_dataset(data, load_description(None, data), path).files
