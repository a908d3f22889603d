"""Instructions per frame: a figure that does not depend on load or clock, and hardly on the machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.app import app
from benchmarks.callgrind import command, environment
from benchmarks.latency import BARE_INVOKE, BUNDLES
from benchmarks.report import Absent, AsJson, Findings, Goal, Out, ratio, reported

COMMITTED = Path(__file__).parent / "instructions.json"

MAX_RATIO = 1.05
"""Largest ratio to the committed figure. Two runs of the same code differ by less than a hundredth."""

GOAL_RATIO = 0.7
"""Ratio to the figure at the start."""

COLUMNS = {
    "bundle": "bundle",
    "case": "case",
    "instructions_count": "instructions",
    "beside_count": "beside the network",
    "to_committed_ratio": "x committed",
    "to_start_ratio": "x start",
}

Counts = dict[str, dict[str, int]]


@app.command("instructions")
def instructions(
    frames: Annotated[int, typer.Option(min=1, help="Number of frames of each case.")] = 5,
    committed: Annotated[Path, typer.Option(help="Figures to compare with.")] = COMMITTED,
    keep: Annotated[bool, typer.Option("--keep", help="Write the figures found as the new ones.")] = False,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Count the instructions of a reading and of its bare invoke under valgrind, on one thread: about two minutes.

    Beside the network is the reading less the bare invoke. Exit status 1: it is more than the committed figure allows.
    """
    findings = Findings("instructions", COLUMNS)
    before: dict[str, Any] = json.loads(committed.read_text()) if committed.exists() else {}
    # Other processes only make this slower.
    with reported(findings, as_json=as_json, out=out, max_others_pct=100):
        try:
            counts = count(frames)
        except (OSError, ValueError) as error:
            findings.absent.append(Absent("all cases", str(error)))
            return
        findings.rows = rows(counts, before)
        findings.goals = goals(findings.rows)
    worse = [row for row in findings.rows if (row["to_committed_ratio"] or 0) > MAX_RATIO]
    if keep:
        committed.write_text(json.dumps({**before, "committed": counts}, indent=2, sort_keys=True) + "\n")
    elif worse:
        names = ", ".join(f"{row['bundle']}, {row['case']}" for row in worse)
        typer.echo(f"more instructions beside the network than {MAX_RATIO:g} times the committed: {names}", err=True)
        raise typer.Exit(1)


def count(frames: int) -> Counts:
    """Instructions per frame, by bundle and case. Raises ``OSError`` or ``ValueError`` if they cannot be counted."""
    if shutil.which("valgrind") is None:
        raise OSError("valgrind is not installed")
    with tempfile.TemporaryDirectory(prefix="leukoscope-callgrind-") as name:
        folder = Path(name)
        program = [sys.executable, "-m", "benchmarks.instructions_run", name, str(frames), "1", *BUNDLES]
        done = subprocess.run(
            [*command(folder), *program], env=environment(), check=False, capture_output=True, text=True
        )
    if done.returncode != 0:
        raise OSError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"status {done.returncode}")
    found: Counts = json.loads(done.stdout)
    return found


def beside(counts: Counts) -> Counts:
    """Instructions of every case beyond the bare invoke of its bundle."""
    return {
        bundle: {name: number - cases[BARE_INVOKE] for name, number in cases.items() if name != BARE_INVOKE}
        for bundle, cases in counts.items()
    }


def rows(counts: Counts, before: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per case. The instructions beyond the network's are compared with earlier figures."""
    found, start = beside(counts), beside(before.get("start", {}))
    committed = beside(before.get("committed", {}))
    return [
        {
            "bundle": bundle,
            "case": name,
            "instructions_count": number,
            "beside_count": (of_case := found[bundle].get(name)),
            "to_committed_ratio": ratio(of_case, committed.get(bundle, {}).get(name)),
            "to_start_ratio": ratio(of_case, start.get(bundle, {}).get(name)),
        }
        for bundle, cases in counts.items()
        for name, number in cases.items()
    ]


def goals(found: list[dict[str, Any]]) -> list[Goal]:
    """The goal of each case."""
    return [
        Goal(
            f"{row['bundle']}, {row['case']}: instructions beside the network, times those at the start",
            GOAL_RATIO,
            at_most=True,
            measured=row["to_start_ratio"],
        )
        for row in found
        if row["beside_count"] is not None
    ]
