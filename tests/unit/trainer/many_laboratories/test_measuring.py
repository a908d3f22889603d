"""The whole command on drawn cells and a meaningless bundle; only the frozen features are made up."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.contracts.manifest import Label
from tests.cells import make_cells_bundle
from tests.unit.trainer.cells.drawn_cells import draw_cell, write_picture
from trainer.cells.laboratories.listing import ListedCell, list_cells
from trainer.cells.laboratories.sources import Meaning, load_sources
from trainer.cells.training.parts import write_parts
from trainer.cli import main
from trainer.data.split import Part
from trainer.many_laboratories import baseline, laboratory_probe, measure
from trainer.many_laboratories.choosing import JudgedPart
from trainer.many_laboratories.results import TABLE, ManyLaboratories, read_results

CODES = ("north", "south", "west")
CLASSES = ("blast", "lymphocyte", "neutrophil")
EACH = 6

_LABORATORY = """
[[laboratories]]
code = "{code}"
name = "{code}"
manifest = "cells/manifest.csv"
images = "cells"
path_prefix = "{code}/"
side_um = 30.0
scale_source = "drawn"
licence = "none"
groups = "unknown"
use = "{use}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, sources, and a bundle for every run except the random one."""
    folder = tmp_path_factory.mktemp("many")
    rows, number = ["path,label"], 0
    for code in CODES:
        for label in CLASSES:
            for _ in range(EACH):
                number += 1
                centre = (15.0 + number % 5 / 10, 15.0 + number // 5 / 10)
                write_picture(folder / f"data/cells/{code}/{number}.png", draw_cell(side_px=240, centre_um=centre))
                rows.append(f"{code}/{number}.png,{label}")
    (folder / "data/cells/manifest.csv").write_text("\n".join(rows))
    laboratories = [_LABORATORY.format(code=code, use="testing" if code == "west" else "training") for code in CODES]
    meanings = [f'{each} = "{each}"' for each in CLASSES]
    (folder / "none.npz").touch()
    (folder / "sources.toml").write_text("\n".join([*laboratories, "[classes]", *meanings]))
    labels = [
        Label(code=code, display_name=code, meaning=code, malignant=code == "blast").model_dump()
        for code in (*CLASSES, "monocyte")
    ]
    for run in ("without-north", "without-south", "all", "patients"):
        (folder / "runs" / run).mkdir(parents=True)
        make_cells_bundle(folder / "runs" / run / "bundle", labels=labels, evidence=None)
    return folder


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts of bundles' judgements and the baseline's fits; frozen features are made up, and limits suit few cells."""
    calls = {"judged": 0, "fitted": 0}

    def made_up(cells: Sequence[ListedCell], *_: object) -> NDArray[np.float32]:
        return np.random.default_rng(len(cells)).normal(size=(len(cells), 5)).astype(np.float32)

    def count(name: str, counted: str) -> None:
        original = getattr(measure, name)

        def counting(*arguments: Any) -> Any:
            calls[counted] += 1
            return original(*arguments)

        monkeypatch.setattr(measure, name, counting)

    count("judge_cells", "judged")
    count("judge_by_baseline", "fitted")
    monkeypatch.setattr(measure, "raw_features", made_up)
    monkeypatch.setattr(laboratory_probe, "MIN_CELLS", EACH)
    monkeypatch.setattr(laboratory_probe, "FOLDS", 2)
    monkeypatch.setattr(baseline, "INVERSE_REGULARISATIONS", (1e-2,))
    return calls


def _measure(folder: Path, runs: Path, out: Path, *more: str | Path) -> int:
    options = ("--data", folder / "data", "--sources", folder / "sources.toml", "--weights", folder / "none.npz")
    words = ("many-laboratories", "--runs", runs, *options, "--processes", 1, "--out", out, *more)
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def _read(out: Path) -> ManyLaboratories:
    found = read_results(out)
    assert found is not None
    return found


def test_each_laboratory_is_judged_by_the_bundle_without_it_and_once(
    folder: Path, tmp_path: Path, counted: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, out, page = tmp_path / "runs", tmp_path / "out", tmp_path / "page.md"
    shutil.copytree(folder / "runs", runs)
    page.write_text("Before.\n<!-- table: short -->\n<!-- end of table -->\nAfter.\n")
    assert _measure(folder, runs, out, "--page", page) == 2
    assert f"{runs / 'patients' / 'cells.csv'} cannot be read" in capsys.readouterr().err
    assert counted == {"judged": 0, "fitted": 0}
    cells = list_cells(folder / "data", load_sources(folder / "sources.toml"), CODES).cells
    # All cells of the north, and three of the south.
    tested = [each.laboratory == "north" or at in range(3 * EACH, 3 * EACH + 3) for at, each in enumerate(cells)]
    write_parts(runs / "patients/cells.csv", cells, [Part.TEST if each else Part.TRAIN for each in tested])
    assert _measure(folder, runs, out, "--page", page) == 0
    captured = capsys.readouterr()
    assert f"There is no bundle in {runs / 'random'}" in captured.err
    found = _read(out)
    assert [(each.laboratory, each.part) for each in found.left_out] == [("north", "test"), ("south", "test")]
    assert all(0 < each.cells_count < 3 * EACH for each in found.left_out)
    assert [(each.laboratory, each.cells_count) for each in found.never_trained] == [("west", 3 * EACH)]
    assert [(each.laboratory, each.cells_count) for each in found.patients] == [("north", 3 * EACH), ("south", 3)]
    assert found.random == ()
    assert found.baseline is not None
    assert [each.laboratory for each in found.baseline.laboratories] == ["north", "south", "west"]
    assert [each.type for each in found.probe] == [*CLASSES, None]
    assert found.models.keys() == {"without-north", "without-south", "all", "patients"}
    assert (
        page.read_text()
        == f"Before.\n<!-- table: short -->\n\n{captured.out.strip()}\n\n<!-- end of table -->\nAfter.\n"
    )
    assert (out / TABLE).read_text() == captured.out
    done = dict(counted)
    assert _measure(folder, runs, out) == 0
    assert _read(out) == found
    assert counted == done

    shutil.rmtree(runs / "all/bundle")
    shutil.copytree(runs / "without-north/bundle", runs / "all/bundle")
    manifest = runs / "all/bundle/manifest.json"
    manifest.write_text(manifest.read_text().replace("test-cells", "other-cells"))
    assert _measure(folder, runs, out) == 0
    assert {run: each.name for run, each in _read(out).models.items() if each.name != "test-cells"} == {
        "all": "other-cells"
    }
    assert (counted["judged"], counted["fitted"]) == (done["judged"] + 3, done["fitted"])


def test_cells_whose_class_was_corrected_are_judged_anew(folder: Path, tmp_path: Path, counted: dict[str, int]) -> None:
    shutil.copytree(folder / "runs", tmp_path / "runs")
    sources = load_sources(folder / "sources.toml")
    corrected = sources.model_copy(update={"classes": {**sources.classes, "blast": Meaning.MONOCYTE}})
    for described, blasts, judged in ((sources, EACH, 1), (sources, EACH, 1), (corrected, 0, 2)):
        table = measure.Table(tmp_path / "runs", folder / "data", described, processes=1)
        found = table.judge("all", "west", JudgedPart.ALL)
        assert sum(each.meaning is Meaning.BLAST for each in found.cells) == blasts
        assert counted["judged"] == judged


def test_without_any_bundle_there_is_one_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _measure(folder, tmp_path, tmp_path / "out") == 2
    assert "has no bundle" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_laboratory_is_judged_by_itself(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "judged.json"
    options = ("--data", folder / "data", "--sources", folder / "sources.toml", "--processes", "1", "--part", "all")
    words = ("judge-cells", "--bundle", folder / "runs/all/bundle", *options, "--laboratory", "south", "--out", out)
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert not ended.value.code
    assert "south, all: 18 cells, 6 of them blasts; patients unknown" in capsys.readouterr().out
    assert out.is_file()
    # A folder is refused before hours of work, not after them.
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in (*words[:-1], tmp_path, "--bundle", "none")])
    assert ended.value.code == 2
    assert f"{tmp_path} is a folder" in capsys.readouterr().err
