"""Labels come back from somebody else, and none of them is lost silently."""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.collection.label_sets import label_sets
from edge_agent.collection.returned_labels import read_returned
from edge_agent.errors import FileUnusable, LabelInvalid
from tests.kept import LABELS, fill, make_collection

SETS = label_sets([], LABELS)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_colleague_fills_the_manifest_in_and_it_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    frames = fill(folder, 3)
    make_collection(folder).export("classes", tmp_path / "export", unlabelled=True)
    path = tmp_path / "export/manifest.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    for row, label in zip(rows, ["benign", "The pre-b", ""], strict=True):
        row["label"] = label
    # As a German spreadsheet saves it.
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    returned = tmp_path / "back.csv"
    returned.write_text(text.getvalue(), encoding="utf-8-sig")
    collection = make_collection(folder, beside_agent=True)
    done = collection.import_labels(returned)
    assert (done.added_count, done.known_count, done.empty_count, done.unknown, done.bad_rows) == (2, 0, 1, (), ())
    again = collection.import_labels(returned)
    assert (again.added_count, again.known_count) == (0, 2)
    (state,) = make_collection(folder).state().sets
    assert [each.labelled_count for each in state.labels] == [1, 0, 1, 0]
    offered = collection.next("classes")
    assert offered is not None
    assert offered.item == frames[2]


def test_every_row_that_is_left_out_is_named(tmp_path: Path) -> None:
    (frame,) = fill(tmp_path / "collection", 1)
    unknown = uuid4()
    path = write(
        tmp_path / "labels.csv",
        "item,label,set,labelled_by,labelled_at\n"
        f"{frame},benign,classes,colleague,\n"
        f"{frame},healthy,classes,,\n"
        f"field7.jpg,benign,classes,,\n"
        f"{frame},benign,colours,,\n"
        f"{frame},benign,classes,Dr.Ada,\n"
        f"{frame},benign,classes,,yesterday\n"
        f"{frame},benign,classes,,2026-11-29T12:00:00\n"
        f"{frame},benign,classes,,0001-01-01T00:00:00+14:00\n"
        f"{unknown},benign,classes,,\n"
        "\n"
        f"{frame},,classes,,\n",
    )
    done = make_collection(tmp_path / "collection").import_labels(path)
    assert (done.added_count, done.empty_count, done.unknown) == (1, 1, (unknown,))
    assert [row.where for row in done.bad_rows] == [f"labels.csv:{line}" for line in range(3, 10)]
    assert [row.why.split(":")[0] for row in done.bad_rows] == [
        "has the label 'healthy', which the set 'classes' does not have",
        "has no id of a frame, but 'field7'",
        "names the label set 'colours', which is not configured",
        "labelled_by is not as it must be",
        "labelled_at is not a time such as 2026-11-29T12",
        "labelled_at is not as it must be",
        "labelled_at is not as it must be",
    ]


def test_an_export_brings_all_answers_to_another_device(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    frames = fill(here, 3, label="pre-b")
    shutil.copytree(here, there)
    collection = make_collection(here)
    collection.label(frames[0], "classes", "pre-b", by="work")
    collection.label(frames[1], "classes", "benign", by="work")
    collection.label(frames[1], "classes", "benign", by="work")
    collection.label(frames[2], "classes", "benign", by="work")
    collection.export("classes", tmp_path / "export.zip")
    other = make_collection(there)
    done = other.import_labels(tmp_path / "export.zip")
    # Both answers of one role, and no third answer made from the manifest's rows.
    assert (done.added_count, done.known_count) == (3, 2)
    (state,) = other.state().sets
    assert (state.labelled_count, state.unlabelled_count, state.disputed_count) == (2, 1, 0)
    assert other.import_labels(tmp_path / "export.zip").added_count == 0


def test_a_colleague_who_disagrees_makes_it_a_second_look(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    (frame,) = fill(folder, 1)
    collection = make_collection(folder)
    collection.label(frame, "classes", "benign", by="work")
    collection.import_labels(write(tmp_path / "back.csv", f"item,label\n{frame},pro-b\n"))
    offered = collection.next("classes", "second-look")
    assert offered is not None
    assert offered.item == frame


def test_a_row_names_its_frame_by_its_path_too(tmp_path: Path) -> None:
    (frame,) = fill(tmp_path / "collection", 1)
    path = write(tmp_path / "back.csv", f"Path,Label\nC:\\labelled\\{frame}.jpg,not usable\n")
    assert make_collection(tmp_path / "collection").import_labels(path).added_count == 1


def test_several_sets_need_to_be_named(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    (frame,) = fill(folder, 1)
    sets = [{"name": name, "labels": [{"code": "x", "name": "X", "malignant": False}]} for name in ("a", "b")]
    collection = make_collection(folder, label_sets=sets)
    path = write(tmp_path / "back.csv", f"item,label\n{frame},x\n")
    (bad,) = collection.import_labels(path).bad_rows
    assert bad.why == "names no label set; add a column set, or give --set"
    assert collection.import_labels(path, "b").added_count == 1
    with pytest.raises(LabelInvalid):
        collection.import_labels(path, "c")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", b"item,label\n"),
        ("labels.csv", b"field,class\n"),
        ("labels.csv", b""),
        ("labels.csv", "item,label\n1,Fr\u00fchform\n".encode("latin-1")),
        ("labels.zip", b"not a zip file"),
        ("labels.csv", b"item,label\n" + b"x" * 200_000 + b",benign\n"),
    ],
)
def test_a_file_of_another_form_is_one_clear_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileUnusable):
        read_returned(tmp_path / name, SETS, "classes")


def test_a_zip_file_without_labels_or_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("picture.jpg", b"")
    with pytest.raises(FileUnusable, match=r"no manifest.csv"):
        read_returned(tmp_path / "a.zip", SETS, "classes")
    with pytest.raises(FileUnusable, match="No such file"):
        read_returned(tmp_path / "absent.csv", SETS, "classes")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileUnusable):
        read_returned(tmp_path / "folder.csv", SETS, "classes")


def test_what_a_mac_adds_to_a_zip_file_is_passed_over(tmp_path: Path) -> None:
    (frame,) = fill(tmp_path / "collection", 1)
    path = tmp_path / "back.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("export/manifest.csv", f"item,label\n{frame},benign\n")
        archive.writestr("__MACOSX/export/._manifest.csv", b"\0\5\x16\7\0\2\0\0Mac OS X        \xb0\xff")
    done = make_collection(tmp_path / "collection").import_labels(path)
    assert (done.added_count, done.bad_rows) == (1, ())


@pytest.mark.parametrize(("packing", "header_bytes"), [(zipfile.ZIP_DEFLATED, 0), (zipfile.ZIP_LZMA, 9)])
def test_a_damaged_zip_file_is_one_clear_error(tmp_path: Path, packing: int, header_bytes: int) -> None:
    path = tmp_path / "back.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("manifest.csv", "item,label\n" + f"{UUID(int=1)},benign\n" * 100)
    content = bytearray(path.read_bytes())
    begin = content.index(b"manifest.csv") + len(b"manifest.csv") + header_bytes
    content[begin : begin + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(FileUnusable, match="cannot be read"):
        read_returned(path, SETS, "classes")


def test_a_zip_file_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.collection.returned_labels.MAX_FILE_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.jsonl", b"\n" * 1001)
    with pytest.raises(FileUnusable, match="larger than"):
        read_returned(tmp_path / "a.zip", SETS, "classes")


@given(st.text(max_size=200), st.sampled_from([".csv", ".jsonl"]))
def test_whatever_a_file_has_each_row_is_counted_or_the_file_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("returned") / f"labels{suffix}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        found = read_returned(path, SETS, "classes")
    except FileUnusable:
        return
    assert not found.lines
    assert not found.rows


@given(st.lists(st.sampled_from(["good", "bad", "empty"]), max_size=10))
def test_good_bad_and_empty_rows_add_up(tmp_path_factory: pytest.TempPathFactory, kinds: list[str]) -> None:
    cells = {"good": f"{UUID(int=1)},benign", "bad": "1,benign", "empty": f"{UUID(int=1)},"}
    path = tmp_path_factory.mktemp("returned") / "labels.csv"
    path.write_text("\n".join(["item,label", *(cells[kind] for kind in kinds)]))
    found = read_returned(path, SETS, "classes")
    assert [len(found.rows), len(found.bad_rows), found.empty_count] == [kinds.count(k) for k in cells]
    assert [row.where for row in found.bad_rows] == [
        f"labels.csv:{number}" for number, kind in enumerate(kinds, 2) if kind == "bad"
    ]
