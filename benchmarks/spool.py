"""The cost of the durable spool: syncs and bytes per 1,000 results, and the estimated life of a card."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import psutil
import typer
from uuid_utils.compat import uuid7

from benchmarks.app import app
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import Absent, AsJson, Findings, Goal, MaxOthers, Out, ratio, reported
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.inference import Classifier, load_bundle
from edge_agent.spool import Message, SpoolLimits, SqliteSpool
from edge_agent.vision.settings import QualityLimits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CARD_BYTES = 32e9
CARD_CYCLES = 500
"""Write cycles of a consumer card's TLC flash; makers rarely publish this."""
AMPLIFICATION = 10
"""Bytes that the card's controller writes for each byte of a small synced write. A guess, not measured."""
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of 1,000 results in groups of one size, acknowledged at once."""

    group_count: int
    commits_count: int
    checkpoints_count: int
    fsyncs_count: int | None
    written_mb: float
    commit_p50_ms: float
    commit_p95_ms: float


COLUMNS = {
    "group_count": "results per commit",
    "commits_count": "commits",
    "checkpoints_count": "checkpoints",
    "fsyncs_count": "fsyncs",
    "written_mb": "MB written",
    "commit_p50_ms": "commit p50 ms",
    "commit_p95_ms": "p95 ms",
}


@app.command("spool")
def spool(
    results: Annotated[int, typer.Option(min=10, help="Results per group size.")] = 1000,
    folder: Annotated[Path | None, typer.Option(help="Folder on the medium. Default: the working folder.")] = None,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Syncs and bytes written per 1,000 results. Syncs are counted by strace where it is installed."""
    with reported(Findings("spool", COLUMNS), as_json=as_json, out=out, max_others_pct=max_others_pct) as findings:
        costs = [measure(group, results, folder or Path.cwd()) for group in (1, 4, 20)]
        findings.rows = [asdict(cost) for cost in costs]
        findings.notes = [f"per {results} results", _life(costs, results)]
        if any(cost.fsyncs_count is None for cost in costs):
            findings.absent.append(Absent("count of syncs", "strace is not installed"))
        each, grouped = costs[0].written_mb, costs[1].written_mb
        findings.goals = [
            Goal("bytes in groups of four, times one by one", 0.7, at_most=True, measured=ratio(grouped, each))
        ]
        findings.draw = _draw(costs)


def _draw(costs: list[Cost]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        bars = axes.bar([str(cost.group_count) for cost in costs], [cost.written_mb for cost in costs])
        axes.bar_label(bars, [f"{cost.written_mb:.1f} MB, {cost.fsyncs_count or '?'} syncs" for cost in costs])
        axes.set_xlabel("results per commit")
        axes.set_ylabel("megabytes written")

    return draw


def _life(costs: list[Cost], results: int) -> str:
    """An estimate with stated assumptions, for a result every two seconds around the clock."""
    per_result = max(cost.written_mb for cost in costs) * 1e6 / results
    years = CARD_BYTES * CARD_CYCLES / AMPLIFICATION / per_result / (43_200 * 365)
    return (
        f"Estimate: a {CARD_BYTES / 1e9:.0f} GB card of {CARD_CYCLES} cycles, {AMPLIFICATION} bytes of flash per byte "
        f"written, one result every 2 s, each committed separately: {years:.0f} years."
    )


def measure(group: int, results: int, folder: Path) -> Cost:
    """Run one group size in its own process, under strace if it is installed."""
    strace = shutil.which("strace")
    with tempfile.TemporaryDirectory(dir=folder, prefix="spool-benchmark-") as place:
        log = Path(place, "syncs")
        command = [sys.executable, "-m", "benchmarks.spool", str(group), str(results), place]
        plain = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        fsyncs = None
        if strace is not None:
            # A second run for the times, because tracing slows the first down.
            traced = [strace, "-f", "-q", "-e", "trace=fsync,fdatasync", "-o", str(log), *command]
            counted = subprocess.run(traced, capture_output=True, text=True, check=False)
            if counted.returncode == 0:
                fsyncs = sum("sync(" in line for line in log.read_text().splitlines())
    return Cost(group_count=group, fsyncs_count=fsyncs, **plain)


def _messages(count: int) -> Iterator[Message]:
    """Real results of a drawn field."""
    analyzer = Analyzer(Classifier(load_bundle("demo")), QualityLimits())
    array, _ = draw_smear(np.random.default_rng(1), "pre-b", size_px=(224, 224))
    reading = analyzer.analyse(frame_now("camera0", Pixels(array, ColourOrder.RGB), source="synthetic:pre-b"))
    maker = ResultMaker("north-clinic", "scope-1", uuid7())
    for _ in range(count):
        result = maker.make(reading)
        yield Message(result.id, "leukoscope/v1/north-clinic/scope-1/result/camera0", result.to_json())


def _run(group: int, results: int, folder: Path) -> dict[str, float]:
    """Append groups; wait until each is committed, then take and acknowledge it."""
    messages = list(_messages(results))
    store = SqliteSpool(folder / "spool", SpoolLimits(max_bytes=2**30, max_age_s=1e9, commit_delay_s=0))
    before = psutil.Process().io_counters().write_bytes
    times_ms = []
    for start in range(0, results, group):
        began = time.perf_counter()
        for message in messages[start : start + group]:
            store.append(message)
        if not store.flush(PATIENCE_S):
            raise RuntimeError(f"the spool does not write: {store.error}")
        times_ms.append((time.perf_counter() - began) * 1e3)
        while (taken := store.take(live=True)) is not None:
            store.acknowledge(taken.id)
    store.close()
    stats = store.stats()
    p50, p95 = np.percentile(times_ms, [50, 95])
    return {
        "commits_count": stats.commits_count,
        "checkpoints_count": stats.checkpoints_count,
        "written_mb": round((psutil.Process().io_counters().write_bytes - before) / 1e6, 3),
        "commit_p50_ms": round(float(p50), 3),
        "commit_p95_ms": round(float(p95), 3),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))) + "\n")
