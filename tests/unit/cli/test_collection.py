"""The output and effects of ``edge-agent collection``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.collection import collection
from edge_agent.config import load_config
from edge_agent.contracts import SpecimenField
from edge_agent.errors import CollectionEmpty, ConfigError, FileUnusable
from tests.kept import Readings, fill


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(
        '[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n[analysis]\nbundle = "demo"\n'
        f'[collection]\nkeep = "all"\nconsent = "the board"\nfolder = "{folder}"\n'
    )
    return file


def run(config: Path, *arguments: object) -> Result:
    return CliRunner().invoke(collection, [*map(str, arguments), "--config", str(config)])


def labels(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["item,label", *rows, ""]))
    return path


def test_status_counts_frames_and_labels(tmp_path: Path, config: Path, folder: Path) -> None:
    frames = fill(folder, 3)
    run(config, "import", labels(tmp_path, f"{frames[0]},benign", f"{frames[1]},not_usable"))
    done = run(config, "status")
    assert done.exit_code == 0
    lines = [line.split() for line in done.output.splitlines()]
    for line in (
        ["consent", "the", "board"],
        ["unlabelled", "1"],
        ["benign", "1"],
        ["pre-b", "0"],
        ["not", "usable", "1"],
    ):
        assert line in lines, done.output
    as_json = json.loads(run(config, "status", "--json").output)
    assert (as_json["frames_count"], as_json["sets"][0]["labelled_count"]) == (3, 1)


def test_a_collection_that_was_never_made_is_empty_and_stays_so(tmp_path: Path, config: Path, folder: Path) -> None:
    assert "frames     0 of 10000" in run(config, "status").output
    assert isinstance(run(config, "export", "--set", "classes", "--out", tmp_path / "out").exception, CollectionEmpty)
    assert not folder.exists()


def test_labels_are_imported_exported_and_deleted(tmp_path: Path, config: Path, folder: Path) -> None:
    readings = Readings()
    theirs = fill(folder, 1, readings, specimen=SpecimenField(id="S-7K3F", slide=1, field=1))
    others = fill(folder, 2, readings)
    rows = [f"{frame},{code}" for frame, code in zip((*theirs, *others), ("benign", "pre-b", "pre-b"), strict=True)]
    done = run(config, "import", labels(tmp_path, *rows))
    assert (done.exit_code, done.stdout) == (0, "3 labels imported, 0 were known.\n")
    done = run(config, "export", "--set", "classes", "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines()[:2]] == [["1", "benign"], ["2", "pre-b"]]
    assert (tmp_path / "out/dataset.toml").is_file()
    assert isinstance(run(config, "export", "--set", "classes", "--out", tmp_path / "out").exception, FileUnusable)
    assert run(config, "delete", "--specimen", "S-7K3F", "--yes").stdout == "1 frames deleted.\n"
    assert CliRunner().invoke(collection, ["delete", "--config", str(config)], input="n\n").exit_code == 1
    assert len(list(folder.glob("*.jpg"))) == 2
    features = load_config(config).state.folder / "adaptation" / "cache" / "features"
    features.parent.mkdir(parents=True)
    features.touch()
    assert run(config, "delete", "--yes").stdout == "2 frames deleted.\n"
    assert not features.exists(), "what the last fit kept of the frames"
    assert list(folder.iterdir()) == []


def test_what_an_import_left_out_is_listed(tmp_path: Path, config: Path, folder: Path) -> None:
    (frame,) = fill(folder, 1)
    unknown = "01a2269f-fa5a-7514-bffe-6f6e9662383d"
    done = run(config, "import", labels(tmp_path, f"{frame},benign", f"{frame},odd", f"{unknown},benign", f"{frame},"))
    assert done.exit_code == 3
    assert done.stdout == "1 labels imported, 0 were known.\n"
    assert "labels.csv:3: has the label 'odd', which the set 'classes' does not have" in done.stderr
    assert f"  {unknown}\n" in done.stderr
    assert "1 rows have no label." in done.stderr


def test_a_damaged_frame_is_named_and_the_rest_is_exported(tmp_path: Path, config: Path, folder: Path) -> None:
    good, damaged = fill(folder, 2)
    run(config, "import", labels(tmp_path, f"{good},benign", f"{damaged},pre-b"))
    content = bytearray((folder / f"{damaged}.jpg").read_bytes())
    content[-20] ^= 1
    (folder / f"{damaged}.jpg").write_bytes(content)
    done = run(config, "export", "--set", "classes", "--out", tmp_path / "out.zip")
    assert done.exit_code == 3
    assert f"  {damaged}\n" in done.stderr
    assert "at least two labels" in done.stderr
    assert (tmp_path / "out.zip").is_file()


def test_without_a_configuration_there_is_no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.cli.collection.system_config", lambda: None)
    assert isinstance(CliRunner().invoke(collection, ["status"]).exception, ConfigError)
