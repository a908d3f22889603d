"""The benchmark's own arithmetic, and that it runs; its measurements are not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.latency import Case, _cases, goals, measure
from benchmarks.machine import describe_machine, observed
from benchmarks.report import Absent, Goal
from edge_agent.errors import BundleMissing


def test_a_ratio_is_to_the_bare_invoke_of_the_same_bundle_and_threads() -> None:
    cases = [Case(name, "accurate", 1, lambda: None) for name in ("bare invoke", "224x224 array")]
    cases.append(Case("224x224 array", "accurate", 2, lambda: {"inference": 2.0}))
    rows = measure(cases, 5)
    assert [row["to_invoke_ratio"] is None for row in rows] == [False, False, True]
    assert rows[0]["to_invoke_ratio"] == 1
    assert rows[2]["stages_p50_ms"] == {"inference": 2.0}
    assert all(row["p50_ms"] <= row["p95_ms"] <= row["max_ms"] for row in rows)


def test_a_goal_that_could_not_be_measured_is_not_reached() -> None:
    assert not Goal("x", 1.0, at_most=True, measured=None).reached
    assert Goal("x", 1.0, at_most=True, measured=1.0).reached
    assert not Goal("x", 25.0, at_most=False, measured=24.9).reached
    assert all(goal.measured is None for goal in goals([]))


def test_a_bundle_that_is_not_there_gives_a_reason_instead_of_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise BundleMissing(f"There is no {name}.")

    def no_recipe() -> None:
        raise ImportError("no tensorflow")

    monkeypatch.setattr("benchmarks.latency.load_bundle", missing)
    monkeypatch.setattr("benchmarks.latency.published_recipe", no_recipe)
    absent: list[Absent] = []
    assert list(_cases([1], absent)) == []
    assert [(each.case, "bundle_missing" in each.reason) for each in absent[:2]] == [
        ("accurate, all cases", True),
        ("fast, all cases", True),
    ]
    assert "no tensorflow" in absent[2].reason


def test_a_busy_machine_makes_figures_invalid() -> None:
    with observed(max_others_pct=0.0) as conditions:
        subprocess.run([sys.executable, "-c", "sum(range(10**6))"], check=True)
        # The time of our own children is ours.
        ours = conditions
    assert ours.others_pct < 100
    with observed(max_others_pct=-1.0) as conditions:
        pass
    assert not conditions.valid
    assert "other processes" in conditions.objections[0]


def test_the_machine_can_be_described() -> None:
    machine = describe_machine()
    assert machine.cores_count >= 1
    assert "ai-edge-litert" in machine.versions["runtime"]


def test_the_command_measures_and_writes_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "new" / "latency.json"
    code = (
        "import benchmarks.latency as latency\n"
        "def none(): raise ImportError('left out')\n"
        "latency.published_recipe = none\n"
        "from benchmarks.app import app\n"
        f"app(['latency', '--rounds', '5', '--threads', '1', '--json', '--out', {str(out.parent)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    assert out.with_suffix(".png").stat().st_size > 0
    assert json.loads(done.stdout) == record
    assert {row["case"] for row in record["rows"]} >= {"bare invoke", "224x224 array", "1280x960 MJPEG"}
    whole = next(row for row in record["rows"] if row["case"] == "224x224 array")
    assert {"segmentation", "quality", "inference", "decision"} <= set(whole["stages_p50_ms"])
