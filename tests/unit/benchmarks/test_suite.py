"""The guard: when it reports, when it is silent, and that it can run every benchmark."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as command_line
from benchmarks import device, suite
from benchmarks.app import app
from benchmarks.latency import BARE_INVOKE, DECODE_AND_INVOKE, MJPEG
from benchmarks.report import Absent

RUN = CliRunner()


def record(
    measured: float | None, *, at_most: bool = True, is_ratio: bool = True, valid: bool = True
) -> dict[str, Any]:
    return {
        "benchmark": "latency",
        "conditions": {"valid": valid},
        "goals": [{"name": "x", "measured": measured, "at_most": at_most, "is_ratio": is_ratio}],
    }


@pytest.mark.parametrize(
    ("at_most", "before", "now", "worse"),
    [
        (True, 1.0, 1.24, False),
        (True, 1.0, 1.26, True),
        (True, 1.0, 0.2, False),
        (False, 400.0, 330.0, False),
        (False, 400.0, 310.0, True),
        (False, 400.0, 4000.0, False),
    ],
)
def test_only_the_bad_direction_is_worse(at_most: bool, before: float, now: float, worse: bool) -> None:
    old, new = (suite.read_ratios([record(value, at_most=at_most)]) for value in (before, now))
    assert suite.compare(new, old, 25) == (["latency: x"] if worse else [])


def test_times_and_what_was_not_measured_are_not_compared() -> None:
    assert suite.read_ratios([record(3.0, is_ratio=False), record(None)]) == {}
    assert suite.compare(suite.read_ratios([record(3.0)]), {}, 25) == []


def fake_benchmarks(monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], status: int = 0) -> None:
    class Done:
        returncode = status

    def run(command: list[str], *, check: bool) -> Done:
        assert not check
        folder = Path(command[command.index("--out") + 1])
        folder.mkdir(exist_ok=True)
        (folder / "latency.json").write_text(json.dumps(found))
        return Done()

    monkeypatch.setattr(suite, "LONG", {"latency": []})
    monkeypatch.setattr("benchmarks.suite.subprocess.run", run)


def test_the_guard_keeps_compares_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed = str(tmp_path / "ratios.json")
    arguments = ["suite", "--committed", committed]
    fake_benchmarks(monkeypatch, record(1.0))
    assert "nothing to compare with" in RUN.invoke(app, [*arguments, "--keep"]).output
    assert RUN.invoke(app, arguments).exit_code == 0
    fake_benchmarks(monkeypatch, record(1.3))
    done = RUN.invoke(app, arguments)
    assert done.exit_code == suite.WORSE
    assert "worse by more than 25 %: latency: x" in done.output
    assert RUN.invoke(app, [*arguments, "--tolerance-pct", "40"]).exit_code == 0


def test_figures_of_a_busy_machine_are_neither_compared_nor_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = tmp_path / "ratios.json"
    fake_benchmarks(monkeypatch, record(9.0, valid=False))
    done = RUN.invoke(app, ["suite", "--committed", str(committed), "--keep"])
    assert done.exit_code == suite.NOT_VALID
    assert not committed.exists()


def test_a_broken_benchmark_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_benchmarks(monkeypatch, record(1.0), status=2)
    done = RUN.invoke(app, ["suite", "--committed", str(tmp_path / "ratios.json")])
    assert done.exit_code == suite.BROKEN
    assert "failed: latency" in done.output


def test_the_committed_ratios_are_those_of_the_benchmarks_there_are() -> None:
    committed = json.loads(suite.COMMITTED.read_text())
    assert {name.partition(":")[0] for name in committed["ratios"]} <= set(suite.LONG)
    assert set(suite.LONG) == set(suite.SHORT)
    assert set(suite.LONG) <= set(command_line.__all__)


@pytest.mark.parametrize(
    ("model", "reason"),
    [(None, "no compiled model"), ("missing.tflite", "there is no file"), ("empty.tflite", "libedgetpu")],
)
def test_a_board_without_an_edge_tpu_gives_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str | None, reason: str
) -> None:
    (tmp_path / "empty.tflite").touch()
    monkeypatch.setattr("benchmarks.device.ctypes.util.find_library", lambda _: None)
    absent: list[Absent] = []
    assert device._edge_tpu(None if model is None else tmp_path / model, absent) == []
    assert reason in absent[0].reason


def test_the_device_benchmark_writes_rows_for_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "BUNDLES", ("fast",))
    monkeypatch.setattr(device, "CASES", (BARE_INVOKE, DECODE_AND_INVOKE, MJPEG))
    monkeypatch.setattr(device, "thread_counts", lambda: [1])
    reference = tmp_path / "reference.csv"
    arguments = ["device", "--seconds", "1", "--append", "--reference", str(reference), "--json"]
    for _ in range(2):
        done = RUN.invoke(app, arguments)
        assert done.exit_code == 0, done.output
    with reference.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(device.CASES)
    assert {row["kind"] for row in rows} == {"measured"}
    assert all(float(row["p50_ms"]) > 0 for row in rows)
    assert [bool(row["to_decode_ratio"]) for row in rows[:3]] == [False, False, True]


def test_the_reference_file_tells_measured_from_published() -> None:
    with device.REFERENCE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == device.REFERENCE_COLUMNS
    assert {row["kind"] for row in rows} <= {"measured", "published", "predicted"}
    assert all(row["source"] for row in rows)
    assert all(row["valid"] == "yes" for row in rows if row["kind"] == "measured")
