"""Cells are judged as 'edge-agent classify --as-cell' judges them; withheld answers are recorded as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edge_agent.cli.app import app
from edge_agent.inference.bundle import MANIFEST, shipped_bundles
from tests.cells import ALL_FAMILIAR, WINDOW_UM, make_cells_bundle
from tests.unit.trainer.cells.drawn_cells import draw_cell, make_sources, write_picture
from trainer.cells.laboratories.listing import ListedCell, list_cells
from trainer.cells.laboratories.sources import Meaning
from trainer.cells.training.parts import write_parts
from trainer.data.split import Part
from trainer.errors import DataError
from trainer.many_laboratories.choosing import JudgedPart, choose_cells
from trainer.many_laboratories.judged import Judged, read_judged
from trainer.many_laboratories.judging import Judging, judge_cells

COUNT = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    lines = ["path,label"]
    for number in range(COUNT):
        picture = draw_cell(side_px=240, centre_um=(13.0 + number, 15.0), nucleus_um=8.0 + number)
        write_picture(folder / f"cells/north/{number}.png", picture)
        lines.append(f"north/{number}.png,{'platelet' if number == 0 else 'blast'}")
    (folder / "cells/manifest.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def cells(data: Path) -> tuple[ListedCell, ...]:
    return list_cells(data, make_sources("north")).cells


def _judge(folder: Path, cells: tuple[ListedCell, ...], data: Path, processes: int = 1, **changes: Any) -> Judging:
    bundle = make_cells_bundle(folder, **changes)
    return judge_cells(str(bundle), cells, cells, data, "all", processes)


def test_the_agent_says_the_same_of_the_same_pictures(
    tmp_path: Path, cells: tuple[ListedCell, ...], data: Path
) -> None:
    found = _judge(tmp_path / "bundle", cells, data)
    words = ["classify", "--as-cell", "--bundle", str(tmp_path / "bundle"), str(data / "cells/north")]
    done = CliRunner().invoke(app, words)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert found.judged.scale == done.stderr.strip()
    assert len(results) == COUNT
    for cell, result in zip(found.judged.cells, results, strict=True):
        assert cell.type == result["label"]
        assert cell.blast_ratio == pytest.approx(result["cells"][0]["blast_ratio"], abs=1e-6)
        assert dict(zip(found.judged.labels, cell.probabilities or (), strict=True)) == pytest.approx(
            result["probabilities"], abs=1e-6
        )
        assert cell.unfamiliarity_score == pytest.approx(result["decision"]["unfamiliarity_score"], abs=1e-3)
    assert found.features.shape == (COUNT, 1280)
    assert np.isfinite(found.features).all()


def test_neutrophils_that_look_like_blasts_lower_all_blasts_as_in_the_agent(
    tmp_path: Path, cells: tuple[ListedCell, ...], data: Path
) -> None:
    """By cells that are there twice, with the demonstration bundle, told that they are neutrophils or blasts."""
    demo = json.loads((shipped_bundles()["demo"] / MANIFEST).read_bytes())
    renamed = {"pre-b": "neutrophil"}
    labels = [{**each, "code": renamed.get(each["code"], each["code"])} for each in demo["labels"]]
    classes = [{**each, "code": renamed.get(each["code"], each["code"])} for each in demo["evidence"]["classes"]]
    told: dict[str, Any] = {
        "cells": {"window_um": WINDOW_UM, "max_cells_count": 16, "probabilities": "blast-first@1"},
        "labels": [{**each, "malignant": each is labels[0]} for each in labels],
        "evidence": {**demo["evidence"], "classes": classes},
        "temperature": 0.2,
    }
    twice = (*cells, *cells)
    bundle = str(make_cells_bundle(tmp_path / "bundle", **told))
    found = judge_cells(bundle, twice, twice, data, "all", 1).judged
    folder = str(data / "cells/north")
    done = CliRunner().invoke(app, ["classify", "--as-cell", "--bundle", bundle, folder, folder])
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert found.blast_offset < 0
    assert "too much like blasts" in done.stderr
    assert [each.blast_ratio for each in found.cells] == pytest.approx(
        [each["cells"][0]["blast_ratio"] for each in results], abs=1e-6
    )


@pytest.mark.parametrize(
    ("thresholds", "refusal"),
    [
        ({**ALL_FAMILIAR, "max_unfamiliarity_score": 1e-6}, "unfamiliar"),
        ({**ALL_FAMILIAR, "min_confidence_ratio": 1.0}, "low_confidence"),
    ],
    ids=["unfamiliar", "unsure"],
)
def test_what_the_network_said_of_a_refused_cell_is_recorded(
    tmp_path: Path, cells: tuple[ListedCell, ...], data: Path, thresholds: dict[str, Any], refusal: str
) -> None:
    open_ = _judge(tmp_path / "open", cells, data, temperature=100.0).judged
    strict = _judge(tmp_path / "strict", cells, data, temperature=100.0, thresholds=thresholds).judged
    assert {(each.type, each.refusal) for each in strict.cells} == {(None, refusal)}
    assert [each.probabilities for each in strict.cells] == [each.probabilities for each in open_.cells]
    assert [each.meaning for each in strict.cells] == [Meaning.NOT_A_CELL, *[Meaning.BLAST] * (COUNT - 1)]


def test_a_picture_that_cannot_be_read_or_is_too_small_is_refused_unseen(tmp_path: Path) -> None:
    for number, picture in enumerate((draw_cell(side_px=60), draw_cell(side_px=240), draw_cell(side_px=240))):
        write_picture(tmp_path / f"cells/north/{number}.png", picture)
    (tmp_path / "cells/manifest.csv").write_text("path,label\n" + "".join(f"north/{n}.png,blast\n" for n in range(3)))
    damaged = tmp_path / "cells/north/2.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    cells = list_cells(tmp_path, make_sources("north")).cells
    found = _judge(tmp_path / "bundle", cells, tmp_path)
    small, seen, unreadable = found.judged.cells
    assert (small.refusal, unreadable.refusal) == ("field_too_small", "image_unreadable")
    assert (small.probabilities, unreadable.probabilities) == (None, None)
    assert seen.probabilities is not None
    assert np.isnan(found.features[[0, 2]]).all()


def test_two_processes_say_what_one_says_and_it_is_read_again(
    tmp_path: Path, cells: tuple[ListedCell, ...], data: Path
) -> None:
    one = _judge(tmp_path / "one", cells, data)
    two = judge_cells(str(tmp_path / "one"), cells, cells, data, "all", 2)
    assert two.judged == one.judged
    (tmp_path / "judged.json").write_text(one.judged.model_dump_json())
    assert read_judged(tmp_path / "judged.json") == one.judged
    (tmp_path / "judged.json").write_text("{}")
    with pytest.raises(DataError, match="judge-cells"):
        read_judged(tmp_path / "judged.json")
    assert isinstance(one.judged, Judged)


def test_the_scale_is_that_of_the_laboratory_whichever_cells_are_chosen(
    tmp_path: Path, cells: tuple[ListedCell, ...], data: Path
) -> None:
    bundle = str(make_cells_bundle(tmp_path / "bundle"))
    everything = judge_cells(bundle, cells, cells, data, "all", 1).judged
    last = judge_cells(bundle, cells, cells[-1:], data, "all", 1).judged
    assert last.cells == everything.cells[-1:]
    assert last.side_um == everything.side_um
    assert judge_cells(bundle, cells[-1:], cells[-1:], data, "all", 1).judged.side_um != everything.side_um


def _listed(number: int, meaning: Meaning = Meaning.BLAST, group: str | None = None) -> ListedCell:
    return ListedCell(Path(f"{number}.png"), "north", meaning, group, str(number))


def test_a_part_is_a_half_or_that_of_a_training_and_what_is_no_cell_is_halved(tmp_path: Path) -> None:
    cells = [
        *(_listed(number, group=f"p{number // 3}") for number in range(12)),
        *(_listed(number, Meaning.NOT_A_CELL) for number in range(12, 20)),
    ]
    parts = {part: {each.sha256 for each in choose_cells(cells, part)} for part in JudgedPart}
    objects = {str(number) for number in range(12, 20)}
    assert not parts[JudgedPart.TEST] & parts[JudgedPart.VALIDATION]
    assert parts[JudgedPart.TEST] | parts[JudgedPart.VALIDATION] == parts[JudgedPart.ALL]
    assert len(parts[JudgedPart.ALL]) == 20
    split = tmp_path / "cells.csv"
    write_parts(split, cells[:12], [Part.VALIDATION, Part.TEST, *[Part.TRAIN] * 10])
    for part, own in ((JudgedPart.TEST, "1"), (JudgedPart.VALIDATION, "0")):
        assert 0 < len(parts[part] & objects) < 8
        assert {each.sha256 for each in choose_cells(cells, part, split)} == {own} | (parts[part] & objects)
    assert len(choose_cells(cells, JudgedPart.ALL, split)) == 20
    with pytest.raises(DataError, match="no cell"):
        choose_cells(cells[2:], JudgedPart.TEST, split)
