"""Speed of the exact k-means compared with scikit-learn's and OpenCV's, for the same pixels in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from benchmarks.app import app
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import AsJson, Findings, Goal, MaxOthers, Out, reported
from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.vision.colour import level_histogram, to_lab
from edge_agent.vision.kmeans import kmeans_histogram
from edge_agent.vision.segmentation import CLUSTERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pixels = NDArray[np.uint8]


def _exact(pixels: Pixels) -> float:
    return kmeans_histogram(level_histogram(pixels), CLUSTERS).inertia


def _scikit_learn(pixels: Pixels) -> float:
    points = pixels.reshape(-1, 1).astype(np.float64)
    return float(KMeans(CLUSTERS, n_init=10, random_state=0).fit(points).inertia_)


def _opencv(pixels: Pixels) -> float:
    points = pixels.reshape(-1, 1).astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 300, 1e-4)
    compactness, _, _ = cv2.kmeans(points, CLUSTERS, np.empty(0), stop, 10, cv2.KMEANS_PP_CENTERS)
    return float(compactness)


METHODS: dict[str, Callable[[Pixels], float]] = {
    "exact (histogram)": _exact,
    "scikit-learn, n_init=10": _scikit_learn,
    "OpenCV, 10 attempts": _opencv,
}


COLUMNS = {
    "method": "224 x 224 px, k = 3",
    "p50_ms": "p50 ms",
    "times_slower_ratio": "times slower",
    "inertia_over_optimum_ratio": "worst inertia / optimum",
}


@app.command("kmeans")
def kmeans(
    fields: Annotated[int, typer.Option(min=1, help="Fields of 224 x 224 px, drawn.")] = 12,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Time and inertia of three k-means on the a* channel, interleaved, as medians and ratios."""
    with reported(Findings("kmeans", COLUMNS), as_json=as_json, out=out, max_others_pct=max_others_pct) as findings:
        findings.rows = _measure(fields)
        exact, scikit_learn = findings.rows[0], findings.rows[1]
        findings.goals = [
            Goal("exact k-means, ms", 0.2, at_most=True, measured=exact["p50_ms"], is_ratio=False),
            Goal("scikit-learn, times ours", 400.0, at_most=False, measured=scikit_learn["times_slower_ratio"]),
            Goal(
                "ours over the least inertia of all three",
                1.0,
                at_most=True,
                measured=round(1 / min(1.0, *(row["least_inertia_ratio"] for row in findings.rows)), 6),
            ),
        ]
        findings.draw = _draw(findings.rows)


def _measure(fields: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    times_ms: dict[str, list[float]] = {name: [] for name in METHODS}
    inertia: dict[str, list[float]] = {name: [] for name in METHODS}
    for number in range(fields):
        rgb, _ = draw_smear(rng, SMEAR_LABELS[number % len(SMEAR_LABELS)], size_px=(224, 224))
        pixels = to_lab(rgb)[:, :, 1].ravel()
        for name, method in METHODS.items():
            # On one thread each: on two cores, scikit-learn's threads slow it down two to four times, at random.
            with threadpool_limits(limits=1):
                method(pixels)
                started = time.perf_counter()
                inertia[name].append(method(pixels))
                times_ms[name].append((time.perf_counter() - started) * 1e3)
    exact = next(iter(METHODS))
    return [
        {
            "method": name,
            "p50_ms": round(float(np.median(times_ms[name])), 4),
            "times_slower_ratio": round(float(np.median(np.divide(times_ms[name], times_ms[exact]))), 1),
            "inertia_over_optimum_ratio": float(np.max(np.divide(inertia[name], inertia[exact]))),
            "least_inertia_ratio": float(np.min(np.divide(inertia[name], inertia[exact]))),
        }
        for name in METHODS
    ]


def _draw(rows: list[dict[str, Any]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        bars = axes.barh([row["method"] for row in rows], [row["p50_ms"] for row in rows])
        axes.bar_label(bars, fmt="%.2f ms", padding=3)
        axes.set_xscale("log")
        axes.margins(x=0.2)
        axes.invert_yaxis()
        axes.set_xlabel("milliseconds per field of 224 x 224 px, median")

    return draw
