"""Speed of the exact k-means beside scikit-learn's and OpenCV's, on the same pixels in the same run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.cluster import KMeans

from benchmarks.app import app
from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.vision.kmeans import LEVELS, kmeans_histogram
from edge_agent.vision.preprocessing import to_lab
from edge_agent.vision.segmentation import CLUSTERS

Pixels = NDArray[np.uint8]


def _exact(pixels: Pixels) -> float:
    return kmeans_histogram(np.bincount(pixels, minlength=LEVELS), CLUSTERS).inertia


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


@app.command("kmeans")
def kmeans(
    fields: Annotated[int, typer.Option(min=1, help="Fields of 224 x 224 px, drawn.")] = 12,
    min_ratio: Annotated[float, typer.Option(help="Fail below this many times scikit-learn's speed.")] = 100.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Time and inertia of three k-means on the a* channel, interleaved, as medians and ratios."""
    rng = np.random.default_rng(0)
    times_ms: dict[str, list[float]] = {name: [] for name in METHODS}
    inertia: dict[str, list[float]] = {name: [] for name in METHODS}
    for number in range(fields):
        rgb, _ = draw_smear(rng, SMEAR_LABELS[number % len(SMEAR_LABELS)], size_px=(224, 224))
        pixels = to_lab(rgb)[:, :, 1].ravel()
        for name, method in METHODS.items():
            method(pixels)
            started = time.perf_counter()
            inertia[name].append(method(pixels))
            times_ms[name].append((time.perf_counter() - started) * 1e3)
    exact_name = next(iter(METHODS))
    rows = {
        name: {
            "median_ms": float(np.median(times_ms[name])),
            "times_slower_ratio": float(np.median(np.divide(times_ms[name], times_ms[exact_name]))),
            "inertia_over_optimum_ratio": float(np.max(np.divide(inertia[name], inertia[exact_name]))),
        }
        for name in METHODS
    }
    if as_json:
        typer.echo(json.dumps({"benchmark": "kmeans", "fields_count": fields, "methods": rows}))
    else:
        table = Table("k-means on 224 x 224 px, k = 3", "median ms", "times slower", "worst inertia / optimum")
        for name, row in rows.items():
            table.add_row(
                name,
                f"{row['median_ms']:.3f}",
                f"{row['times_slower_ratio']:.1f}",
                f"{row['inertia_over_optimum_ratio']:.6f}",
            )
        Console().print(table)
    ratio = rows["scikit-learn, n_init=10"]["times_slower_ratio"]
    if ratio < min_ratio:
        typer.echo(f"only {ratio:.0f} times faster than scikit-learn, at least {min_ratio:.0f} are required", err=True)
        raise typer.Exit(1)
