"""Readings per second of the whole agent, from JPEG files to acknowledged messages, on one core and on two."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.agent_run import WARM_UP, Run, run, surroundings
from benchmarks.app import app
from benchmarks.latency import BUNDLES, JPEG_QUALITY
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import Absent, AsJson, Findings, Goal, MaxOthers, Out, ratio, reported

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = {
    "bundle": "bundle",
    "cores_count": "cores",
    "threads_count": "threads",
    "readings_hz": "readings per second",
    "to_one_core_ratio": "x one core",
}


@app.command("throughput")
def throughput(
    readings: Annotated[int, typer.Option(min=2 * WARM_UP, help="Readings per run.")] = 600,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each kind.")] = 3,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Readings per second of the whole agent: 1280x960 MJPEG, spool and a real broker included."""
    findings = Findings("throughput", COLUMNS)
    available = len(os.sched_getaffinity(0))
    kinds = [(cores, threads) for cores, threads in ((1, 1), (2, 1), (2, 2)) if cores <= available]
    if available < 2:
        findings.absent.append(Absent("two cores", "this machine has only one"))
    with (
        reported(findings, as_json=as_json, out=out, max_others_pct=max_others_pct),
        surroundings(JPEG_QUALITY) as (frames, port, version),
    ):
        rates: dict[tuple[str, int, int], list[float]] = {}
        for _ in range(repeats):
            for bundle in BUNDLES:
                for cores, threads in kinds:
                    found = run(Run(bundle, str(frames), port, version, readings, threads, cores))
                    rates.setdefault((bundle, cores, threads), []).append(found["readings_hz"])
        medians = {key: float(np.median(values)) for key, values in rates.items()}
        findings.rows = [
            {
                "bundle": bundle,
                "cores_count": cores,
                "threads_count": threads,
                "readings_hz": round(rate, 1),
                "to_one_core_ratio": ratio(rate, medians[bundle, 1, 1]),
            }
            for (bundle, cores, threads), rate in medians.items()
        ]
        best = [row["to_one_core_ratio"] for row in findings.rows if row["bundle"] == "accurate"][1:]
        findings.goals = [
            Goal("two cores, times one", 1.7, at_most=False, measured=max(best, default=None)),
        ]
        findings.draw = _draw(findings.rows)


def _draw(rows: list[dict[str, Any]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        names = [f"{row['bundle']}\n{row['cores_count']} cores, {row['threads_count']} threads" for row in rows]
        bars = axes.bar(names, [row["readings_hz"] for row in rows])
        axes.bar_label(bars, fmt="%.0f")
        axes.tick_params(axis="x", labelsize=8)
        axes.set_ylabel("readings per second, 1280x960 MJPEG")

    return draw
