from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.cameras.smear import draw_smear
from trainer.cli import main
from trainer.data.dataset import Dataset, ImageFile, read_dataset
from trainer.data.description import Description, load_description
from trainer.data.prepare import NewSplit, prepare
from trainer.data.split import Part, read_split
from trainer.data.split_policy import Disjoint, Shares
from trainer.data.stain_clusters import stain_clusters
from trainer.data.synthesis import synthesise
from trainer.errors import DataError

PER_CLASS = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn smears, and a table with four subjects per class."""
    folder = tmp_path_factory.mktemp("prepare") / "data"
    description = synthesise(folder, per_class=PER_CLASS, seed=8)
    rows = ["path,label,group"]
    for each in description.classes:
        for number, path in enumerate(sorted((folder / each.folder).iterdir())):
            rows.append(f"{path.relative_to(folder).as_posix()},{each.folder},{each.code}-{number % 4}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder


def _prepare(data: Path, out: Path, *, table: bool = True, disjoint: Disjoint | None = None) -> NewSplit:
    return prepare(
        data,
        load_description(None, data),
        out,
        table=data / "table.csv" if table else None,
        disjoint=disjoint,
        shares=Shares(test=0.25, validation=0.25),
        clusters_per_class=4,
        seed=1,
    )


def test_groups_are_kept_apart_where_they_are_known(data: Path, tmp_path: Path) -> None:
    assert _prepare(data, tmp_path / "split.csv").disjoint is Disjoint.GROUPS
    assignments = read_split(tmp_path / "split.csv", data)
    assert len(assignments) == 4 * PER_CLASS
    parts = {group: {each.part for each in assignments if each.file.group == group} for group in ("pre-b-0", "pre-b-3")}
    assert all(len(each) == 1 for each in parts.values())
    for part in Part:
        assert len({each.file.label for each in assignments if each.part is part}) == 4


def test_without_groups_only_near_duplicates_are_kept_apart(data: Path, tmp_path: Path) -> None:
    prepared = _prepare(data, tmp_path / "split.csv", table=False)
    assert prepared.disjoint is Disjoint.NEAR_DUPLICATES
    assert all(each.file.group is None for each in prepared.assignments)


def test_groups_that_nobody_knows_cannot_be_kept_apart(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="48 of 48 images have no group"):
        _prepare(data, tmp_path / "split.csv", table=False, disjoint=Disjoint.GROUPS)


def test_a_split_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("precious")
    with pytest.raises(DataError, match="already exists"):
        _prepare(data, tmp_path / "split.csv")
    assert (tmp_path / "split.csv").read_text() == "precious"


def _tinted(description: Description) -> Dataset:
    """Three tints in each class, four images each."""
    rng = np.random.default_rng(2)
    fields: list[np.ndarray] = []
    files: list[ImageFile] = []
    for each in description.classes:
        for tint in range(3):
            for number in range(4):
                field = draw_smear(rng, each.code)[0].astype(float)
                field[..., tint] *= 0.7
                fields.append(field.astype(np.uint8))
                files.append(ImageFile(f"{each.folder}/{tint}-{number}.png", each.code, f"{len(files):064x}"))
    return Dataset(tuple(files), np.stack(fields), ())


def test_stains_that_differ_are_separated_within_each_class(data: Path) -> None:
    dataset = _tinted(load_description(None, data))
    clusters = stain_clusters(dataset, np.arange(len(dataset.files)), 3, 0)
    tints = [(file.label, Path(file.path).name[0]) for file in dataset.files]
    assert len(set(clusters)) == 12
    assert len(set(zip(clusters, tints, strict=True))) == 12


def test_near_duplicates_are_in_one_stain_cluster(data: Path) -> None:
    dataset = _tinted(load_description(None, data))
    duplicates = np.arange(len(dataset.files))
    # The first images of the first two tints are declared near-duplicates, whatever they look like.
    duplicates[4] = duplicates[0]
    clusters = stain_clusters(dataset, duplicates, 3, 0)
    assert clusters[0] == clusters[4]


def test_a_split_by_stain_has_every_class_in_every_part(data: Path, tmp_path: Path) -> None:
    prepared = _prepare(data, tmp_path / "split.csv", table=False, disjoint=Disjoint.STAINS)
    for part in Part:
        assert len({each.file.label for each in prepared.assignments if each.part is part}) == 4


def test_the_command_writes_a_split_and_says_what_is_in_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = data / "Pre" / "notes.txt"
    bad.write_text("no image")
    out = tmp_path / "split.csv"
    with pytest.raises(SystemExit) as ended:
        main(["prepare", "--data", str(data), "--out", str(out), "--test-share", "0.25", "--validation-share", "0.25"])
    bad.unlink()
    assert not ended.value.code
    shown = capsys.readouterr()
    assert "pro-b" in shown.out
    assert "skipped Pre/notes.txt" in shown.err
    assert "may be in several parts" in shown.err
    dataset = read_dataset(data, load_description(None, data))
    assert {each.file for each in read_split(out, data)} == set(dataset.files)


def test_near_duplicates_in_the_data_are_found_and_kept_together(tmp_path: Path) -> None:
    data = tmp_path / "data"
    synthesise(data, per_class=6, seed=4)
    first = min((data / "Pro").iterdir())
    image = cv2.imread(str(first))
    assert image is not None
    cv2.imwrite(str(data / "Pro" / "again.jpg"), image)
    prepared = _prepare(data, tmp_path / "split.csv", table=False)
    duplicates = [each for each in prepared.assignments if each.file.path in {f"Pro/{first.name}", "Pro/again.jpg"}]
    assert len({each.duplicate_group for each in duplicates}) == len({each.part for each in duplicates}) == 1
