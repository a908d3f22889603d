"""Milliseconds per image, including everything from a frame in memory to the bytes of its message."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from uuid_utils.compat import uuid7

from benchmarks.app import app
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.recipe import published_recipe
from benchmarks.report import Absent, AsJson, Findings, Goal, MaxOthers, Out, ratio, reported
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels, frame_now
from edge_agent.cameras.smear import DEFAULT_UM_PER_PIXEL, draw_smear
from edge_agent.errors import EdgeAgentError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MODEL, Bundle
from edge_agent.inference.geometry import bundle_geometry
from edge_agent.inference.runtime import Runtime
from edge_agent.vision.decode import decode_image, read_header
from edge_agent.vision.field import choose_reduction, choose_window
from edge_agent.vision.settings import QualityLimits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.uint8]

BUNDLES = ("accurate", "fast")
WARM_UP_ROUNDS = 10
RECIPE_EVERY = 10
"""The recipe takes thirty times as long as everything else together, so it runs in every tenth round."""

BARE_INVOKE, FIELD, MJPEG, RECIPE = "bare invoke", "224x224 array", "1280x960 MJPEG", "published recipe (224x224)"
DECODE_AND_INVOKE = "decode and invoke (1280x960 MJPEG)"
UNFAMILIAR, CROWDED = "224x224 array, unfamiliar", "1280x960 MJPEG, 340 nuclei"

COMPRESSED = (MJPEG, CROWDED)
"""Cases that cannot be faster than ``DECODE_AND_INVOKE``."""

COLUMNS = {
    "bundle": "bundle",
    "case": "case",
    "threads_count": "threads",
    "p50_ms": "p50 ms",
    "p95_ms": "p95",
    "p99_ms": "p99",
    "max_ms": "max",
    "to_invoke_ratio": "x invoke",
    "to_decode_ratio": "x decode and invoke",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A timed case. ``stages`` returns the times of its parts, if known."""

    name: str
    bundle: str
    threads: int
    call: Callable[[], dict[str, float] | None]
    every: int = 1
    accelerator: str = "none"

    @property
    def key(self) -> tuple[str, str, int]:
        """A unique key."""
        return self.bundle, self.name, self.threads


@app.command("latency")
def latency(
    rounds: Annotated[int, typer.Option(min=5, help="Number of rounds in which every case runs once.")] = 200,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads besides 1. Default: 2, and the number of cores.")
    ] = None,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Latency per stage and in total, interleaved with the bare invoke, the published recipe and the usual example."""
    findings = Findings("latency", COLUMNS)
    # Loading is not measured, nor is converting the recipe's network.
    cases = list(_cases(thread_counts() if threads is None else sorted({1, threads}), findings.absent))
    with reported(findings, as_json=as_json, out=out, max_others_pct=max_others_pct):
        findings.rows = measure(cases, rounds)
        findings.goals = goals(findings.rows)
        findings.notes = [
            f"{row['bundle']}, {row['case']}: "
            + ", ".join(f"{stage} {ms:.2f}" for stage, ms in row["stages_p50_ms"].items())
            + " ms"
            for row in findings.rows
            if row["stages_p50_ms"] and row["threads_count"] == 1
        ]
        findings.draw = _draw(findings.rows)


def thread_counts() -> list[int]:
    """One, two and all cores, up to the number of cores."""
    cores = os.cpu_count() or 1
    return sorted({1, min(2, cores), cores})


JPEG_QUALITY = 75
"""Makes 198 kB of a frame that is full of small cells."""

_FINE_JPEG_QUALITY = 92
"""Makes 179 kB of a frame with cells as large as in a microscope.

Twenty real frames of that size from a camera have 153 to 225 kB."""


def frames() -> dict[str, Pixels | Encoded]:
    """One drawn field in the forms that a camera may deliver, and one field with seventeen times as many cells."""
    return {
        FIELD: Pixels(_drawn(224, 224), ColourOrder.RGB),
        UNFAMILIAR: Pixels(_drawn(224, 224), ColourOrder.RGB),
        "1280x960 array": Pixels(_drawn(960, 1280), ColourOrder.RGB),
        MJPEG: _encoded(_drawn(960, 1280), _FINE_JPEG_QUALITY),
        CROWDED: _encoded(_drawn(960, 1280, um_per_pixel=DEFAULT_UM_PER_PIXEL), JPEG_QUALITY),
        "1640x1232 array": Pixels(_drawn(1232, 1640), ColourOrder.RGB),
    }


def _drawn(height: int, width: int, um_per_pixel: float | None = None) -> Array:
    """Draw uint8 RGB (height, width, 3), by default covering the height of a field of 224 px in the specimen."""
    fine = DEFAULT_UM_PER_PIXEL * 224 / height
    size_px = height, width
    return draw_smear(np.random.default_rng(7), "pre-b", size_px=size_px, um_per_pixel=um_per_pixel or fine)[0]


def _encoded(rgb: Array, quality: int) -> Encoded:
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return Encoded(jpeg.tobytes())


def bundle_cases(name: str, thread_counts: list[int], absent: list[Absent]) -> Iterator[Case]:
    """The cases of one bundle, or the reason why it cannot be loaded."""
    pictures = frames()
    full = pictures["1280x960 array"]
    if not isinstance(full, Pixels):
        raise TypeError("an array is needed")
    for threads in thread_counts:
        try:
            bundle = load_bundle(name)
            # Wide limits, because a rejected field would cost less.
            limits = QualityLimits(max_motion_pct=100, min_focus_score=0, min_coverage_pct=0)
            analyzer = Analyzer(Classifier(_all_familiar(bundle), threads=threads), limits)
            stranger = Analyzer(Classifier(bundle, threads=threads), limits)
            runtime = Runtime(bundle.contents[MODEL], threads=threads)
        except EdgeAgentError as error:
            absent.append(Absent(f"{name}, all cases", str(error)))
            return
        yield Case(BARE_INVOKE, name, threads, _invoke(runtime))
        yield Case(DECODE_AND_INVOKE, name, threads, _decode_and_invoke(runtime, pictures[MJPEG], bundle))
        for kind, image in pictures.items():
            yield Case(kind, name, threads, _whole(stranger if kind == UNFAMILIAR else analyzer, image))
        yield Case("resize and invoke (1280x960)", name, threads, _example(runtime, full.array))


def _all_familiar(bundle: Bundle) -> Bundle:
    """The bundle with a limit that even a drawing passes, so that it is judged as a field of its own laboratory is."""
    thresholds = bundle.manifest.thresholds.model_copy(update={"max_unfamiliarity_score": 1e6})
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"thresholds": thresholds}))


def _cases(thread_counts: list[int], absent: list[Absent]) -> Iterator[Case]:
    for name in BUNDLES:
        yield from bundle_cases(name, thread_counts, absent)
    try:
        judge = published_recipe()
    except ImportError as error:
        absent.append(Absent(RECIPE, f"needs TensorFlow: {error}"))
        return
    field = frames()[FIELD]
    if isinstance(field, Pixels):
        yield Case(RECIPE, "accurate", 1, _quiet(judge, field.array), RECIPE_EVERY)


def _invoke(runtime: Runtime) -> Callable[[], None]:
    return runtime.invoke


def _whole(analyzer: Analyzer, image: Pixels | Encoded) -> Callable[[], dict[str, float]]:
    maker = ResultMaker("benchmark", "benchmark", uuid7())

    def call() -> dict[str, float]:
        reading = analyzer.analyse(frame_now("camera0", image))
        maker.make(reading).to_json()
        return reading.latency_ms

    return call


def _decode_and_invoke(runtime: Runtime, image: Pixels | Encoded, bundle: Bundle) -> Callable[[], None]:
    """The least work for a frame of a camera that compresses: decode as the agent does, then invoke."""
    if not isinstance(image, Encoded):
        raise TypeError("a compressed frame is needed")
    geometry = bundle_geometry(bundle.manifest)

    def call() -> None:
        header = read_header(image.data)
        window = choose_window(header.height_px, header.width_px, geometry)
        if window is None:
            raise ValueError("the frame is too small for a field")
        decode_image(image.data, reduction=choose_reduction(window, geometry), header=header)
        runtime.invoke()

    return call


def _example(runtime: Runtime, rgb: Array) -> Callable[[], None]:
    """Work like the examples of picamera2 and Coral: no denoising, no segmentation, no refusal."""
    side = runtime.input.shape[1]

    def call() -> None:
        small = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_LINEAR)
        runtime.run((small.astype(np.int16) - 128).astype(runtime.input.dtype)[None])

    return call


def _quiet(judge: Callable[[Array], object], rgb: Array) -> Callable[[], None]:
    def call() -> None:
        judge(rgb)

    return call


def measure(cases: list[Case], rounds: int) -> list[dict[str, Any]]:
    """Run all cases in turn, ``rounds`` times.

    Returns one row per case, with the ratio of its median to that of its bare invoke.
    """
    times: dict[tuple[str, str, int], list[float]] = {case.key: [] for case in cases}
    stages: dict[tuple[str, str, int], dict[str, list[float]]] = {case.key: {} for case in cases}
    # Otherwise, OpenCV would use all cores, whatever the runtime's setting.
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
        rows.append(
            {
                "bundle": case.bundle,
                "case": case.name,
                "threads_count": case.threads,
                "samples_count": len(times[case.key]),
                "p50_ms": round(p50, 3),
                "p95_ms": round(p95, 3),
                "p99_ms": round(p99, 3),
                "max_ms": round(most, 3),
                "to_invoke_ratio": ratio(p50, medians.get((case.bundle, BARE_INVOKE, case.threads))),
                "to_decode_ratio": ratio(p50, medians.get((case.bundle, DECODE_AND_INVOKE, case.threads)))
                if case.name in COMPRESSED
                else None,
                "stages_p50_ms": {stage: round(float(np.median(ms)), 3) for stage, ms in stages[case.key].items()},
            }
        )
    return rows


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """The goals, relative to the least work of the same threads and, for one thread, between cases."""
    p50 = {(row["bundle"], row["case"], row["threads_count"]): row["p50_ms"] for row in rows}
    found = []
    for threads, limit in ((1, 1.4), (2, 1.25)):
        on = f"on {threads} {'thread' if threads == 1 else 'threads'}"
        for name, floor, title in (
            (FIELD, BARE_INVOKE, "224x224 in all, times the bare invoke"),
            (MJPEG, DECODE_AND_INVOKE, "1280x960 MJPEG in all, times decode and invoke"),
        ):
            measured = ratio(p50.get(("accurate", name, threads)), p50.get(("accurate", floor, threads)))
            found.append(Goal(f"{title}, {on}", limit, at_most=True, measured=measured))
    whole, recipe = p50.get(("accurate", FIELD, 1)), p50.get(("accurate", RECIPE, 1))
    return [
        *found,
        Goal("published recipe, times ours", 25.0, at_most=False, measured=ratio(recipe, whole)),
        Goal("fast, times accurate", 0.5, at_most=True, measured=ratio(p50.get(("fast", FIELD, 1)), whole)),
    ]


def _draw(rows: list[dict[str, Any]]) -> Callable[[Axes], None]:
    """Draw stacked stages beside the bare invoke."""
    shown = [row for row in rows if row["threads_count"] == 1 and row["case"] != RECIPE]

    def draw(axes: Axes) -> None:
        names = [f"{row['bundle']}: {row['case']}" for row in shown]
        stages = list(dict.fromkeys(s for row in shown for s in row["stages_p50_ms"] if s not in {"waiting", "total"}))
        left = np.zeros(len(shown))
        for number, stage in enumerate(stages):
            widths = np.array([row["stages_p50_ms"].get(stage, 0.0) for row in shown])
            axes.barh(names, widths, left=left, label=stage, color=f"C{number}")
            left += widths
        # Cases without stages, and the time outside the stages, such as for the message.
        rest = np.maximum(0, np.array([row["p50_ms"] for row in shown]) - left)
        axes.barh(names, rest, left=left, label="message, or all of it", color="lightgrey")
        axes.invert_yaxis()
        axes.set_xlabel("milliseconds, median, one thread")
        axes.legend(fontsize=7)

    return draw
