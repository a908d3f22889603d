"""The benchmark of a cells bundle runs with a bundle and without; its measurements are not tested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import cells, latency
from benchmarks.app import app
from tests.cells import make_cells_bundle

RUN = CliRunner()


def run(bundle: str | Path) -> dict[str, Any]:
    done = RUN.invoke(app, ["cells", "--bundle", str(bundle), "--rounds", "5", "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(autouse=True)
def no_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "WARM_UP_ROUNDS", 0)


def test_every_case_of_a_cells_bundle_is_measured_beside_accurate(tmp_path: Path) -> None:
    record = run(make_cells_bundle(tmp_path / "bundle"))
    ratios = {(row["bundle"], row["case"]): row["to_beside_ratio"] for row in record["rows"]}
    for case in (cells.ARRAY, cells.MJPEG, cells.MEASURED):
        assert ratios["test-cells", case] > 0
    assert ratios[cells.BESIDE, cells.MJPEG] is None
    steps = next(row["stages_p50_ms"] for row in record["rows"] if row["case"] == cells.PARTS)
    assert list(steps) == ["cutting", "rgb@1", "invoke", "decision"]
    assert steps["invoke"] > 0
    ratio_goals = [goal for goal in record["goals"] if goal["is_ratio"]]
    assert len(ratio_goals) == 2
    assert all(goal["measured"] is not None for goal in record["goals"])
    assert record["absent"] == []


def test_without_a_bundle_it_says_so(tmp_path: Path) -> None:
    record = run(tmp_path / "nowhere")
    (absent,) = record["absent"]
    assert "bundle_missing" in absent["reason"]
    assert record["rows"] == []
    assert not any(goal["reached"] for goal in record["goals"])


def test_too_few_cells_are_no_measurement(tmp_path: Path) -> None:
    record = run(make_cells_bundle(tmp_path / "bundle", max_cells_count=15))
    (absent,) = record["absent"]
    assert "15 cells of the field are judged, not 16" in absent["reason"]
    assert record["rows"] == []


def test_a_measured_scale_is_compared_with_the_same_frame() -> None:
    rows = [
        {"bundle": bundle, "case": case, "p50_ms": ms}
        for bundle, case, ms in (
            ("x", cells.ARRAY, 3.0),
            ("x", cells.MJPEG, 6.0),
            ("x", cells.MEASURED, 9.0),
            ("x", cells.PARTS, 1.0),
            (cells.BESIDE, cells.ARRAY, 2.0),
            (cells.BESIDE, cells.MJPEG, 5.0),
        )
    ]
    assert [row["to_beside_ratio"] for row in cells.beside(rows)] == [1.5, 1.2, 1.8, None, None, None]
    reached = [(goal.measured, goal.reached) for goal in cells.goals(cells.beside(rows), 2.9)]
    assert reached == [(1.5, False), (1.2, True), (3.0, True), (6.0, True), (2.9, True)]


@pytest.mark.parametrize(
    ("cells_ms", "beside_ms", "expected"), [(15.0, 13.0, [True]), (15.1, 13.0, [False]), (14.0, 13.1, [])]
)
def test_milliseconds_are_a_goal_where_the_other_bundle_is_fast_enough(
    cells_ms: float, beside_ms: float, expected: list[bool]
) -> None:
    rows = [
        {"bundle": "x", "case": cells.ARRAY, "p50_ms": cells_ms},
        {"bundle": cells.BESIDE, "case": cells.ARRAY, "p50_ms": beside_ms},
    ]
    found = cells.goals(cells.beside(rows), None)
    assert [goal.reached for goal in found if goal.name == f"{cells.ARRAY} with 16 cells, ms"] == expected
