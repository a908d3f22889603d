from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainer.cli import main
from trainer.data.dataset import Dataset, ImageFile
from trainer.data.near_duplicates import DuplicatePair
from trainer.data.split import Assignment, Part, write_split
from trainer.errors import DataError
from trainer.evaluation import shortcuts
from trainer.evaluation.audit import Audit, audit
from trainer.evaluation.leaks import find_leaks

CLASSES = ("Benign", "Early", "Pre", "Pro")
CODES = ("benign", "early-pre-b", "pre-b", "pro-b")
PER_CLASS = 24


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough trees for such simple data, and five times as fast."""
    monkeypatch.setattr("trainer.evaluation.audit._TREES", 60)


def _data(
    folder: Path, mark: Callable[[np.ndarray, int, np.random.Generator], None], groups: Sequence[str] | None = None
) -> tuple[Path, Dataset]:
    """Blotches of one kind in 224x224 px PNG files, all alike except for the effect of ``mark`` on a class's images."""
    files: list[ImageFile] = []
    fields: list[np.ndarray] = []
    rng = np.random.default_rng(11)
    for index, (name, code) in enumerate(zip(CLASSES, CODES, strict=True)):
        (folder / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            # Blotches, so that no two images are near-duplicates.
            blotches = np.clip(rng.normal(180, 20, (28, 28, 3)), 0, 255).astype(np.uint8)
            field = blotches.repeat(8, axis=0).repeat(8, axis=1)
            mark(field, index, rng)
            path = f"{name}/{number}.png"
            cv2.imwrite(str(folder / path), field)
            group = None if groups is None else groups[len(files) % len(groups)]
            files.append(ImageFile(path, code, f"{len(files):064x}", group))
            fields.append(field)
    return folder, Dataset(tuple(files), np.stack(fields), ())


def _nothing(field: np.ndarray, index: int, rng: np.random.Generator) -> None:
    pass


def _bar(field: np.ndarray, index: int, rng: np.random.Generator) -> None:
    """Give one blotch of the corner the same colour in all classes, at a different place in each."""
    field[-16:-8, -40 + 8 * index : -32 + 8 * index] = 120


def _told(found: Audit) -> set[str]:
    return {shortcut.name for shortcut in found.shortcuts if shortcut.reveals_label}


def test_a_label_that_only_the_corner_predicts_is_found_there_and_nowhere_else(tmp_path: Path) -> None:
    found = audit(*_data(tmp_path / "data", _bar), "marked")
    assert _told(found) == {"scale-bar corner"}
    corner = found.shortcuts[0]
    assert corner.accuracy_ratio == pytest.approx(1.0)
    assert found.chance_ratio == pytest.approx(0.25)


def test_where_nothing_predicts_the_label_no_shortcut_is_reported(tmp_path: Path) -> None:
    found = audit(*_data(tmp_path / "data", _nothing), "blameless")
    assert _told(found) == set()
    for shortcut in found.shortcuts:
        low, high = shortcut.accuracy_interval_ratio
        assert low < found.chance_ratio < high


def _darker(field: np.ndarray, index: int, rng: np.random.Generator) -> None:
    np.copyto(field, (field * (1 - 0.04 * index)).astype(np.uint8))


def test_light_is_found_in_the_background_and_the_colours(tmp_path: Path) -> None:
    assert {"background colour", "colour histogram"} <= _told(audit(*_data(tmp_path / "data", _darker), "lit"))


def _smoother(field: np.ndarray, index: int, rng: np.random.Generator) -> None:
    field[60:160, 60 : 60 + 30 * (index + 1)] = 180


def test_the_files_size_is_found(tmp_path: Path) -> None:
    told = _told(audit(*_data(tmp_path / "data", _smoother), "compressed"))
    assert shortcuts.FILE_SIZE in told
    assert "scale-bar corner" not in told


def test_images_of_one_group_are_never_on_both_sides_of_a_fold(tmp_path: Path) -> None:
    """Each group has a corner of its own that says nothing of the class; only one who saw the group could tell."""
    marks = np.random.default_rng(3).integers(0, 256, (4 * PER_CLASS // 4, 24, 44, 3), np.uint8)
    data, dataset = _data(tmp_path / "data", _nothing)
    files, fields = [], dataset.fields.copy()
    for index, file in enumerate(dataset.files):
        fields[index, -24:, -44:] = marks[index // 4]
        files.append(ImageFile(file.path, file.label, file.sha256, f"subject {index // 4}"))
    grouped = Dataset(tuple(files), fields, ())
    assert "scale-bar corner" not in _told(audit(data, grouped, "grouped"))
    # The same images without known groups: now the corner seems to predict the class.
    assert "scale-bar corner" in _told(audit(data, Dataset(dataset.files, fields, ()), "ungrouped"))


def _files(count: int, group: Callable[[int], str | None] = lambda _: None) -> Dataset:
    files = tuple(ImageFile(f"{i}.png", "benign", f"{i:064x}", group(i)) for i in range(count))
    return Dataset(files, np.zeros((count, 8, 8, 3), np.uint8), ())


def _split(dataset: Dataset, parts: Sequence[Part]) -> list[Assignment]:
    return [Assignment(file, index, part) for index, (file, part) in enumerate(zip(dataset.files, parts, strict=True))]


def test_near_duplicates_that_the_split_did_not_know_of_are_leaks() -> None:
    dataset = _files(3)
    split = _split(dataset, [Part.TRAIN, Part.TEST, Part.TEST])
    leaks = find_leaks(dataset, [DuplicatePair(0, 1, 0.9), DuplicatePair(1, 2, 0.9)], split)
    assert [(leak.what, leak.first, leak.second) for leak in leaks] == [("near-duplicates", "0.png", "1.png")]


def test_a_group_across_parts_is_a_leak() -> None:
    dataset = _files(4, lambda i: f"s{i % 2}")
    split = _split(dataset, [Part.TRAIN, Part.TEST, Part.TRAIN, Part.VALIDATION])
    assert [leak.what for leak in find_leaks(dataset, [], split)] == ["group s1"]


def test_a_split_of_other_images_is_refused() -> None:
    with pytest.raises(DataError, match=r"3\.png"):
        find_leaks(_files(3), [], _split(_files(4), [Part.TRAIN] * 4))


@pytest.fixture
def duplicated_data(tmp_path: Path) -> Path:
    """Data in which one image is another one saved again, and their description."""
    data, _ = _data(tmp_path / "data", _bar)
    image = cv2.imread(str(data / "Pre" / "0.png"))
    assert image is not None
    cv2.imwrite(str(data / "Pre" / "1.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return data


@pytest.mark.parametrize(("parts", "status"), [(("test", "train"), 1), (("train", "train"), 0)], ids=["leak", "none"])
def test_the_command_fails_exactly_if_something_leaks(
    duplicated_data: Path, tmp_path: Path, parts: tuple[str, str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assignments = []
    for index, path in enumerate(sorted(duplicated_data.rglob("*.png"))):
        name = path.relative_to(duplicated_data).as_posix()
        part = dict(zip(("Pre/0.png", "Pre/1.png"), parts, strict=True)).get(name, "train")
        code = CODES[CLASSES.index(path.parent.name)]
        assignments.append(Assignment(ImageFile(name, code, f"{index:064x}"), index, Part(part)))
    write_split(tmp_path / "split.csv", assignments)
    words = ["audit", "--data", duplicated_data, "--description", "synthetic", "--split", tmp_path / "split.csv"]
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in (*words, "--json", "--out", tmp_path / "out")])
    assert (ended.value.code or 0) == status
    found = Audit.model_validate_json(capsys.readouterr().out)
    assert len(found.leaks or ()) == status
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["dataset"] == "synthetic smears"
    assert cv2.imread(str(tmp_path / "out" / "clues.png")) is not None
