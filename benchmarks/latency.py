"""Milliseconds per image, with everything counted: from a frame in memory to the bytes of its message."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from uuid_utils.compat import uuid7

from benchmarks.app import app
from benchmarks.machine import MAX_OTHERS_PCT, Conditions, Machine, as_record, describe_machine, observed
from benchmarks.recipe import published_recipe
from edge_agent.analysis import Analyzer
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels
from edge_agent.cameras.smear import draw_smear
from edge_agent.cameras.stamp import frame_now
from edge_agent.errors import EdgeAgentError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.runtime import Runtime
from edge_agent.results import ResultMaker
from edge_agent.vision.quality import QualityLimits

Array = NDArray[np.uint8]

BUNDLES = ("accurate", "fast")
WARM_UP_ROUNDS = 10
RECIPE_EVERY = 10
"""The recipe takes thirty times as long as all else together, so it runs in every tenth round."""

console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 140)


@dataclass(frozen=True, slots=True)
class Case:
    """Something that is timed. ``stages`` returns what the call says of its parts, if it does."""

    name: str
    bundle: str
    threads: int
    call: Callable[[], dict[str, float] | None]
    every: int = 1

    @property
    def key(self) -> tuple[str, str, int]:
        """Unique."""
        return self.bundle, self.name, self.threads


@dataclass(frozen=True, slots=True)
class Row:
    """Of one case. The ratio is of medians to the bare invoke of the same bundle with as many threads."""

    bundle: str
    case: str
    threads_count: int
    samples_count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    to_invoke_ratio: float | None
    stages_p50_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Absent:
    """A case that this machine cannot run."""

    bundle: str
    case: str
    reason: str


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached, as a ratio within this run."""

    name: str
    limit: float
    at_most: bool
    measured: float | None

    @property
    def reached(self) -> bool:
        """False too where it could not be measured."""
        if self.measured is None:
            return False
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


@app.command("latency")
def latency(
    rounds: Annotated[int, typer.Option(min=5, help="Times that every case runs, one after the other.")] = 200,
    threads: Annotated[int | None, typer.Option(min=1, help="Beside 1; else as many as there are cores.")] = None,
    max_others_pct: Annotated[float, typer.Option(help="Figures are not valid if other processes take more.")] = (
        MAX_OTHERS_PCT
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write the JSON to as well.")] = None,
) -> None:
    """Latency per stage and in all, interleaved with the bare invoke, the published recipe and the usual example."""
    absent: list[Absent] = []
    many = threads or os.cpu_count() or 1
    cases = list(_cases(sorted({1, many}), absent))
    with observed(max_others_pct) as conditions:
        rows = _measure(cases, rounds)
    goals = _goals(rows)
    record = {
        "benchmark": "latency",
        **as_record(describe_machine(), conditions),
        "rows": [{name: getattr(row, name) for name in Row.__slots__} for row in rows],
        "absent": [{name: getattr(each, name) for name in Absent.__slots__} for each in absent],
        "goals": [{"name": goal.name, "limit": goal.limit, "measured": goal.measured} for goal in goals],
    }
    if out is not None:
        out.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    if as_json:
        typer.echo(json.dumps(record))
    else:
        _show(describe_machine(), conditions, rows, absent, goals)


JPEG_QUALITY = 75
"""Makes 195 kB of the drawn frame. Twenty real ones of that size, straight from a camera, have 153 to 225 kB."""


def frames() -> dict[str, Pixels | Encoded]:
    """The same drawn field as the camera may give it."""
    field, _ = draw_smear(np.random.default_rng(7), "pre-b", size_px=(224, 224))
    full, _ = draw_smear(np.random.default_rng(7), "pre-b", size_px=(960, 1280))
    large, _ = draw_smear(np.random.default_rng(7), "pre-b", size_px=(1232, 1640))
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(full, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return {
        "224x224 array": Pixels(field, ColourOrder.RGB),
        "1280x960 array": Pixels(full, ColourOrder.RGB),
        "1280x960 MJPEG": Encoded(jpeg.tobytes()),
        "1640x1232 array": Pixels(large, ColourOrder.RGB),
    }


def _cases(thread_counts: list[int], absent: list[Absent]) -> Iterator[Case]:
    pictures = frames()
    full = pictures["1280x960 array"]
    if not isinstance(full, Pixels):
        raise TypeError("an array is needed")
    for name in BUNDLES:
        for threads in thread_counts:
            try:
                bundle = load_bundle(name)
                # Wide limits: a refused field would be cheap.
                limits = QualityLimits(max_motion_pct=100, min_focus_score=0, min_coverage_pct=0)
                analyzer = Analyzer(Classifier(bundle, threads=threads), limits)
                runtime = Runtime(bundle.model_path, threads=threads)
            except EdgeAgentError as error:
                absent.append(Absent(name, "all", str(error)))
                break
            yield Case("bare invoke", name, threads, _invoke(runtime))
            for kind, image in pictures.items():
                yield Case(kind, name, threads, _whole(analyzer, image))
            yield Case("resize and invoke (1280x960)", name, threads, _example(runtime, full.array))
    try:
        judge = published_recipe()
    except ImportError as error:
        absent.append(Absent("-", "published recipe", f"needs TensorFlow: {error}"))
        return
    field = pictures["224x224 array"]
    if isinstance(field, Pixels):
        yield Case("published recipe (224x224)", "accurate", 1, _quiet(judge, field.array), RECIPE_EVERY)


def _invoke(runtime: Runtime) -> Callable[[], None]:
    return runtime.invoke


def _whole(analyzer: Analyzer, image: Pixels | Encoded) -> Callable[[], dict[str, float]]:
    maker = ResultMaker("benchmark", uuid7())

    def call() -> dict[str, float]:
        reading = analyzer.analyse(frame_now("camera0", image))
        maker.make(reading).to_json()
        return reading.latency_ms

    return call


def _example(runtime: Runtime, rgb: Array) -> Callable[[], None]:
    """What the examples of picamera2 and of the Coral do: no denoising, no segmentation, no refusal."""
    side = runtime.input.shape[1]

    def call() -> None:
        small = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_LINEAR)
        runtime.run((small.astype(np.int16) - 128).astype(runtime.input.dtype)[None])

    return call


def _quiet(judge: Callable[[Array], object], rgb: Array) -> Callable[[], None]:
    def call() -> None:
        judge(rgb)

    return call


def _measure(cases: list[Case], rounds: int) -> list[Row]:
    times: dict[tuple[str, str, int], list[float]] = {case.key: [] for case in cases}
    stages: dict[tuple[str, str, int], dict[str, list[float]]] = {case.key: {} for case in cases}
    # OpenCV would take all cores for itself whatever the runtime is told.
    cv2.setNumThreads(1)
    for number in track(range(-WARM_UP_ROUNDS, rounds), "Measuring", console=Console(stderr=True), transient=True):
        for case in cases:
            if number % case.every:
                continue
            began = time.perf_counter()
            said = case.call()
            elapsed_ms = (time.perf_counter() - began) * 1e3
            if number < 0:
                continue
            times[case.key].append(elapsed_ms)
            for stage, milliseconds in (said or {}).items():
                stages[case.key].setdefault(stage, []).append(milliseconds)
    medians = {key: float(np.median(values)) for key, values in times.items()}
    rows = []
    for case in cases:
        p50, p95, p99, most = (float(value) for value in np.percentile(times[case.key], [50, 95, 99, 100]))
        floor = medians.get((case.bundle, "bare invoke", case.threads))
        rows.append(
            Row(
                case.bundle,
                case.name,
                case.threads,
                len(times[case.key]),
                round(p50, 3),
                round(p95, 3),
                round(p99, 3),
                round(most, 3),
                None if floor is None else round(p50 / floor, 3),
                {stage: round(float(np.median(values)), 3) for stage, values in stages[case.key].items()},
            )
        )
    return rows


def _goals(rows: list[Row]) -> list[Goal]:
    found = {(row.bundle, row.case, row.threads_count): row for row in rows}

    def p50(bundle: str, case: str) -> float | None:
        row = found.get((bundle, case, 1))
        return None if row is None else row.p50_ms

    def ratio(above: float | None, below: float | None) -> float | None:
        return None if above is None or below is None else round(above / below, 3)

    whole, invoke = p50("accurate", "224x224 array"), p50("accurate", "bare invoke")
    return [
        Goal("224x224 in all, times the bare invoke", 1.25, at_most=True, measured=ratio(whole, invoke)),
        Goal(
            "1280x960 MJPEG in all, times the bare invoke",
            1.8,
            at_most=True,
            measured=ratio(p50("accurate", "1280x960 MJPEG"), invoke),
        ),
        Goal(
            "published recipe, times ours",
            25.0,
            at_most=False,
            measured=ratio(p50("accurate", "published recipe (224x224)"), whole),
        ),
        Goal("fast, times accurate", 0.5, at_most=True, measured=ratio(p50("fast", "224x224 array"), whole)),
    ]


def _show(machine: Machine, conditions: Conditions, rows: list[Row], absent: list[Absent], goals: list[Goal]) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    console.print(f"{machine.model}, {machine.cores_count} cores, governor {machine.governor or 'unknown'}; {versions}")
    table = Table("bundle", "case", *("threads", "p50 ms", "p95", "p99", "max", "x invoke"))
    for row in rows:
        numbers = (row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms)
        table.add_row(
            row.bundle,
            row.case,
            str(row.threads_count),
            *(f"{number:.2f}" for number in numbers),
            "" if row.to_invoke_ratio is None else f"{row.to_invoke_ratio:.2f}",
        )
    console.print(table)
    for row in rows:
        if row.stages_p50_ms and row.threads_count == 1:
            parts = ", ".join(f"{stage} {ms:.2f}" for stage, ms in row.stages_p50_ms.items())
            console.print(f"{row.bundle}, {row.case}: {parts} ms")
    for each in absent:
        console.print(f"not run: {each.bundle}, {each.case}: {each.reason}", style="yellow")
    for goal in goals:
        how = "at most" if goal.at_most else "at least"
        style = "green" if goal.reached else "yellow"
        console.print(f"{goal.name}: {goal.measured} ({how} {goal.limit:g})", style=style)
    for objection in conditions.objections:
        console.print(f"NOT VALID: {objection}", style="red")
