"""Runs all benchmarks, and checks whether a ratio has become worse than the last committed one."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.app import app

COMMITTED = Path(__file__).parent / "ratios.json"

LONG: dict[str, list[str]] = {
    "latency": [],
    "cells": [],
    "kmeans": [],
    "vision": [],
    "throughput": [],
    "memory": [],
    "spool": [],
    "viewers": [],
    "adaptation": [],
    "training": [],
}
SHORT: dict[str, list[str]] = {
    "latency": ["--rounds", "40"],
    "cells": ["--rounds", "10"],
    "kmeans": ["--fields", "6"],
    "vision": ["--fields", "4"],
    "throughput": ["--readings", "400", "--repeats", "1"],
    "memory": ["--early", "300", "--late", "600", "--starts", "2"],
    "spool": ["--results", "200"],
    "viewers": ["--blocks", "1", "--block-s", "2"],
    "adaptation": ["--blocks", "1", "--block-s", "5"],
    "training": ["--per-class", "12", "--alpha", "0.35", "--variants", "1", "--epochs", "1"],
}

WORSE, NOT_VALID, BROKEN = 1, 3, 4

Ratios = dict[str, dict[str, Any]]


@app.command("suite")
def suite(
    out: Annotated[Path | None, typer.Option(help="Folder for the JSON and plot of each.")] = None,
    short: Annotated[bool, typer.Option("--short", help="Few repetitions, to check that everything runs.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Name of a benchmark; may be repeated.")] = None,
    tolerance_pct: Annotated[float, typer.Option(min=0, help="How much worse a ratio may be.")] = 25.0,
    committed: Annotated[Path, typer.Option(help="Ratios to compare with.")] = COMMITTED,
    keep: Annotated[bool, typer.Option("--keep", help="Write the ratios found as the new ones.")] = False,
) -> None:
    """Run all benchmarks and compare their ratios, not their times, with the last committed ones.

    Exit status 1: a ratio is worse by more than the tolerance. 3: the machine was not quiet enough. 4: a benchmark
    failed.
    """
    with tempfile.TemporaryDirectory(prefix="leukoscope-benchmark-") as name:
        folder = out or Path(name)
        broken = []
        for benchmark, arguments in (SHORT if short else LONG).items():
            if only and benchmark not in only:
                continue
            command = [sys.executable, "-m", "benchmarks", benchmark, *arguments, "--out", str(folder)]
            if subprocess.run(command, check=False).returncode != 0:
                broken.append(benchmark)
        records = [
            json.loads(path.read_text())
            for path in sorted(folder.glob("*.json"))
            if path.stem in LONG and path.stem not in broken and (not only or path.stem in only)
        ]
    found = read_ratios(records)
    invalid = sorted(record["benchmark"] for record in records if not record["conditions"]["valid"])
    before: dict[str, Any] = json.loads(committed.read_text()) if committed.exists() else {}
    comparable = before.get("architecture") == platform.machine()
    worse = compare(found, before["ratios"] if comparable else {}, tolerance_pct)
    _show(found, before["ratios"] if comparable else {}, worse, tolerance_pct)
    if not comparable:
        typer.echo(
            f"nothing to compare with on {platform.machine()}: {committed.name} is from another kind of processor"
        )
    if broken:
        typer.echo(f"failed: {', '.join(broken)}", err=True)
        raise typer.Exit(BROKEN)
    if invalid:
        typer.echo(f"not valid, so not compared: {', '.join(invalid)}", err=True)
        raise typer.Exit(NOT_VALID)
    if keep:
        kept = {"architecture": platform.machine(), "ratios": {**before.get("ratios", {}), **found}}
        committed.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
    elif worse:
        typer.echo(f"worse by more than {tolerance_pct:g} %: {', '.join(worse)}", err=True)
        raise typer.Exit(WORSE)


def read_ratios(records: list[dict[str, Any]]) -> Ratios:
    """Every goal of the records that is a ratio and was measured, by benchmark and name."""
    return {
        f"{record['benchmark']}: {goal['name']}": {"measured": goal["measured"], "at_most": goal["at_most"]}
        for record in records
        for goal in record["goals"]
        if goal["is_ratio"] and goal["measured"] is not None
    }


def compare(found: Ratios, before: Ratios, tolerance_pct: float) -> list[str]:
    """Names of the ratios that are worse than before by more than the tolerance."""
    worse = []
    for name, ratio in found.items():
        if name not in before:
            continue
        change = ratio["measured"] / before[name]["measured"]
        if (change if ratio["at_most"] else 1 / change) > 1 + tolerance_pct / 100:
            worse.append(name)
    return worse


def _show(found: Ratios, before: Ratios, worse: list[str], tolerance_pct: float) -> None:
    table = Table("ratio", "committed", "now", "", title=f"within {tolerance_pct:g} %?")
    for name, ratio in found.items():
        old = before.get(name)
        verdict = "new" if old is None else "WORSE" if name in worse else "holds"
        better = "lower is better" if ratio["at_most"] else "higher is better"
        table.add_row(
            f"{name} ({better})", "" if old is None else f"{old['measured']:g}", f"{ratio['measured']:g}", verdict
        )
    Console(soft_wrap=True, width=None if sys.stdout.isatty() else 140).print(table)
