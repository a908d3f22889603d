"""Speed of training: images per second in fine-tuning, and the time of each step."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.app import app
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import Absent, AsJson, Findings, MaxOthers, Out, reported

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = {"step": "step", "wall_s": "s", "images_hz": "images per second"}


@app.command("training")
def training(  # noqa: PLR0913, PLR0917 - options of a command line
    data: Annotated[Path | None, typer.Option(help="Class folders. Default: drawn smears.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights. Default: random ones, which take the same time.")
    ] = None,
    per_class: Annotated[int, typer.Option(min=10, help="Synthetic images per class.")] = 40,
    alpha: Annotated[str, typer.Option(help="Width of the network.")] = "1.0",
    variants: Annotated[int, typer.Option(min=1, help="Augmented variants of each image.")] = 2,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of fine-tuning.")] = 3,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Train, quantize and bundle, with the time of each step."""
    findings = Findings("training", COLUMNS)
    with (
        tempfile.TemporaryDirectory(prefix="leukoscope-benchmark-") as name,
        reported(findings, as_json=as_json, out=out, max_others_pct=max_others_pct),
    ):
        folder = Path(name)
        try:
            given = weights or _random_weights(folder / "weights.npz", float(alpha))
        except ImportError as error:
            findings.absent.append(Absent("all", f"needs TensorFlow: {error}"))
            return
        source = data or folder / "data"
        run = folder / "run"
        steps: dict[str, list[str]] = (
            {} if data else {"draw": ["synth", "--per-class", str(per_class), "--seed", "1", "--out", str(source)]}
        )
        steps["train"] = [
            *("train", "--data", str(source), "--weights", str(given), "--alpha", alpha, "--out", str(run)),
            *("--variants", str(variants), "--epochs", str(epochs)),
        ]
        steps["quantize"] = ["quantize", "--run", str(run), "--data", str(source)]
        steps["bundle"] = [
            *("bundle", "--run", str(run), "--data", str(source), "--name", "benchmark", "--version", "0.0.1"),
            *("--out", str(folder / "bundle")),
        ]
        for step, arguments in steps.items():
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "trainer.cli", *arguments], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no output"]
                findings.absent.append(Absent(step, said[-1]))
                break
            findings.rows.append({"step": step, "wall_s": round(time.perf_counter() - began, 1)})
            if step == "train":
                findings.rows.append(_fine_tuning(run))
        findings.notes = [
            f"{source}, width {alpha}, {variants} variants, {epochs} epochs"
            if data
            else f"{4 * per_class} synthetic images, width {alpha}, {variants} variants, {epochs} epochs",
            "the whole recipe of the shipped bundles: see their cards",
        ]
        findings.draw = _draw(findings.rows)


def _random_weights(path: Path, alpha: float) -> Path:
    from trainer.networks.backbone import build_backbone  # noqa: PLC0415 - needs TensorFlow
    from trainer.networks.weights import named_weights, write_weights  # noqa: PLC0415 - needs TensorFlow

    write_weights(path, named_weights(build_backbone(alpha)))
    return path


def _fine_tuning(run: Path) -> dict[str, Any]:
    """The speed of fine-tuning, from the epochs' own times, including validation."""
    with (run / "curves.csv").open(newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file) if int(row["epoch"]) > 0]
    with (run / "manifest.csv").open(newline="") as file:
        images = sum(row["split"] == "train" for row in csv.DictReader(file))
    epoch_s = float(np.median(seconds))
    return {
        "step": "  an epoch of fine-tuning",
        "wall_s": round(epoch_s, 2),
        "images_hz": round(images / epoch_s, 1),
    }


def _draw(rows: list[dict[str, Any]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        bars = axes.barh([row["step"] for row in rows], [row["wall_s"] for row in rows])
        axes.bar_label(bars, fmt="%.1f s", padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xlabel("seconds")

    return draw
