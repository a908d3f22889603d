"""Measures how well the red cells of a field show its scale, against hand-drawn boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.app import app
from benchmarks.nuclei import BoxedField, field_number, read_boxes
from benchmarks.report import AsJson, Findings, Goal, Out, reported
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER
from edge_agent.vision.red_cells import RedCells, measure_red_cells
from edge_agent.vision.stain import measure_stain

Image = NDArray[np.uint8]

MIN_BOXES = 3
"""A field with fewer whole red cells has no truth."""

_BORDER_PX = 1.5
_SQUEEZED_PX = 224

COLUMNS = {
    "set": "set",
    "input": "input",
    "fields_count": "fields",
    "unanswered_pct": "no answer %",
    "median_error_pct": "median error %",
    "ninth_decile_error_pct": "error of nine in ten at most %",
    "bias_pct": "bias %",
    "covered_pct": "interval holds the truth %",
    "interval_width_pct": "width of the interval %",
}


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """The red cells of a view, and their width by hand-drawn boxes."""

    found: RedCells
    truth_px: float


@app.command("red-cells")
def red_cells(
    data: Annotated[Path, typer.Argument(help="Folder with boxes.")], as_json: AsJson = False, out: Out = None
) -> None:
    """Hold the red-cell ruler against the truth. The odd fields of boxes are for tuning, so the even ones count."""
    with reported(Findings("red-cells", COLUMNS), as_json=as_json, out=out, max_others_pct=1e9) as findings:
        findings.rows = measure(data)
        ours = next(row for row in findings.rows if row["set"] == "boxes, kept aside")
        findings.goals = [
            Goal("median error, kept aside, %", 10.0, at_most=True, measured=ours["median_error_pct"]),
            Goal("interval holds the truth, kept aside, %", 90.0, at_most=False, measured=ours["covered_pct"]),
        ]


def measure(data: Path) -> list[dict[str, Any]]:
    """A row for each half of the fields and each way of showing them. ``data`` is the folder that holds ``boxes``."""
    fields = [(field, truth) for field in read_boxes(data / "boxes") if (truth := true_diameter_px(field)) is not None]
    halves = {
        "boxes, kept aside": [each for each in fields if not field_number(each[0]) % 2],
        "boxes, tuned on": [each for each in fields if field_number(each[0]) % 2],
    }
    return [
        {"set": name, "input": shown, **_score([Sighting(look(field.view), truth) for field, truth in half])}
        for name, half in halves.items()
        for shown, look in _INPUTS.items()
    ]


def true_diameter_px(field: BoxedField) -> float | None:
    """Median over the boxes of whole red cells of the mean of width and height, in pixels of the view."""
    left, top, right, bottom = field.red_cells.T
    height, width = field.view.shape[:2]
    whole = (left > _BORDER_PX) & (top > _BORDER_PX) & (right < width - _BORDER_PX) & (bottom < height - _BORDER_PX)
    if whole.sum() < MIN_BOXES:
        return None
    return float(np.median((right - left + bottom - top)[whole] / 2))


def _of_view(view: Image) -> RedCells:
    return measure_red_cells(measure_stain(SEGMENTATION_DENOISER(view)))


def _of_squeezed(view: Image) -> RedCells:
    """Measure the red cells in an image squeezed like those of ``all4``, and scale them to pixels of the view."""
    squeezed = np.asarray(cv2.resize(view, (_SQUEEZED_PX, _SQUEEZED_PX), interpolation=cv2.INTER_LINEAR), np.uint8)
    height, width = view.shape[:2]
    found = measure_red_cells(measure_stain(SEGMENTATION_DENOISER(squeezed)), width / height)
    scale = height / _SQUEEZED_PX
    if found.diameter_px is None or found.low_px is None or found.high_px is None:
        return RedCells(found.count)
    return RedCells(found.count, found.diameter_px * scale, found.low_px * scale, found.high_px * scale)


_INPUTS: dict[str, Callable[[Image], RedCells]] = {"view of 320 x 240 px": _of_view, "squeezed to 224 px": _of_squeezed}


def _score(sightings: Sequence[Sighting]) -> dict[str, Any]:
    answered = np.array(
        [
            (each.found.diameter_px, each.found.low_px, each.found.high_px, each.truth_px)
            for each in sightings
            if each.found.diameter_px is not None
        ],
        dtype=float,
    ).reshape(-1, 4)
    diameter, low, high, truth = answered.T
    errors = 100 * np.abs(diameter / truth - 1)
    return {
        "fields_count": len(sightings),
        "unanswered_pct": round(100 * (1 - len(answered) / len(sightings)), 1),
        "median_error_pct": round(float(np.median(errors)), 1),
        "ninth_decile_error_pct": round(float(np.percentile(errors, 90)), 1),
        "bias_pct": round(100 * float(np.median(diameter / truth) - 1), 1),
        "covered_pct": round(100 * float(np.mean((low <= truth) & (truth <= high))), 1),
        "interval_width_pct": round(100 * float(np.median((high - low) / diameter)), 1),
    }
