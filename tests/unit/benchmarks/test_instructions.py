"""The arithmetic of instruction counts, and that valgrind can provide them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import instructions
from benchmarks.app import app
from benchmarks.callgrind import command, environment
from benchmarks.latency import BARE_INVOKE, BUNDLES, FIELD, MJPEG

RUN = CliRunner()


def counts(beside: int, invoke: int = 100) -> instructions.Counts:
    return {"accurate": {BARE_INVOKE: invoke, FIELD: invoke + beside, MJPEG: invoke + 3 * beside}}


def test_what_counts_is_what_a_reading_takes_beside_the_network() -> None:
    found = instructions.rows(counts(30, invoke=999), {"start": counts(40), "committed": counts(30)})
    by_case = {row["case"]: row for row in found}
    assert by_case[FIELD]["beside_count"] == 30
    assert (by_case[FIELD]["to_start_ratio"], by_case[MJPEG]["to_committed_ratio"]) == (0.75, 1.0)
    assert by_case[BARE_INVOKE]["beside_count"] is None
    assert [goal.measured for goal in instructions.goals(found)] == [0.75, 0.75]


def test_without_earlier_figures_there_is_nothing_to_compare_with() -> None:
    found = instructions.rows(counts(30), {})
    assert all(row["to_start_ratio"] is None for row in found)
    assert not any(goal.reached for goal in instructions.goals(found))


@pytest.mark.parametrize(("beside", "status"), [(100, 0), (105, 0), (106, 1), (50, 0)])
def test_the_guard_fails_on_more_instructions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: int, status: int
) -> None:
    committed = tmp_path / "instructions.json"
    committed.write_text(json.dumps({"start": counts(200), "committed": counts(100)}))
    monkeypatch.setattr(instructions, "count", lambda _frames: counts(beside))
    done = RUN.invoke(app, ["instructions", "--committed", str(committed)])
    assert done.exit_code == status, done.output
    assert RUN.invoke(app, ["instructions", "--committed", str(committed), "--keep"]).exit_code == 0
    assert json.loads(committed.read_text()) == {"start": counts(200), "committed": counts(beside)}


def test_without_valgrind_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.instructions.shutil.which", lambda _: None)
    committed = tmp_path / "instructions.json"
    done = RUN.invoke(app, ["instructions", "--committed", str(committed), "--keep"])
    assert (done.exit_code, committed.exists()) == (0, False)
    assert "valgrind is not installed" in done.output


def test_the_committed_figures_are_of_the_cases_that_are_counted() -> None:
    committed = json.loads(instructions.COMMITTED.read_text())
    assert {name: set(cases) for name, cases in committed["start"].items()} == {
        name: set(cases) for name, cases in committed["committed"].items()
    }
    assert set(committed["start"]) == set(BUNDLES)


def test_twice_the_work_is_twice_the_instructions(tmp_path: Path) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed (apt-get install valgrind)")
    program = (
        "import hashlib, sys; from pathlib import Path; from benchmarks.callgrind import Counter\n"
        "counter, once, twice = Counter(Path(sys.argv[1])), bytes(100_000), bytes(200_000)\n"
        # Work that allocates nothing: if Python's pool of small objects happens to be full, each integer costs more.
        "print(*(counter.count(lambda: hashlib.sha256(data), times=2) for data in (once, twice)))"
    )
    done = subprocess.run(
        [*command(tmp_path), sys.executable, "-c", program, str(tmp_path)],
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    once, twice = map(int, done.stdout.split())
    assert once > 100_000
    assert twice / once == pytest.approx(2, rel=0.02)
