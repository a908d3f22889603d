"""Measures the time of the vision beside that of release 0.2, in one run: cells, nuclei, red cells and quality."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.app import app
from benchmarks.baseline_vision import measure_all_pixels, segment_a_star
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import AsJson, Findings, Goal, MaxOthers, Out, reported
from edge_agent.cameras.image_files import list_images
from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.vision.cells import find_cells
from edge_agent.vision.colour import to_lab
from edge_agent.vision.decode import decode_image
from edge_agent.vision.field import Geometry, View, choose_window, fit, take
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER
from edge_agent.vision.quality import measure

Image = NDArray[np.uint8]

GEOMETRY = Geometry(aspect_width=4, aspect_height=3, half_chroma=True)
SIZES = {"224 x 224": (224, 224), "1280 x 960": (960, 1280)}
MAX_RATIO = {"224 x 224": 1.0, "1280 x 960": 1.5}

COLUMNS = {
    "frame": "frame",
    "fields_count": "fields",
    "before_ms": "release 0.2, ms",
    "now_ms": "this release, ms",
    "ratio": "ratio",
    "ratio_p90": "ratio, 90 %",
}


@app.command("vision")
def vision(
    fields: Annotated[int, typer.Option(min=1, help="Fields of each size.")] = 40,
    data: Annotated[
        Path | None, typer.Option(help="Folder with all4 and frames-1280x960, in place of drawn fields.")
    ] = None,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Time of colour, segmentation and quality, interleaved, as medians and ratios."""
    with reported(Findings("vision", COLUMNS), as_json=as_json, out=out, max_others_pct=max_others_pct) as findings:
        for frame, (height_px, width_px) in SIZES.items():
            pictures = _drawn(fields, height_px, width_px) if data is None else _real(data, frame, fields)
            row = _measure(frame, pictures)
            findings.rows.append(row)
            findings.goals.append(
                Goal(f"times release 0.2, {frame}", MAX_RATIO[frame], at_most=True, measured=row["ratio"])
            )
        findings.notes.append("before and now: from the denoised pixels to nuclei, scale and quality; without decoding")


def _drawn(fields: int, height_px: int, width_px: int) -> list[Image]:
    rng = np.random.default_rng(0)
    labels = [SMEAR_LABELS[number % len(SMEAR_LABELS)] for number in range(fields)]
    small = [draw_smear(rng, label, size_px=(224, 224))[0] for label in labels]
    return [np.asarray(cv2.resize(each, (width_px, height_px), interpolation=cv2.INTER_CUBIC)) for each in small]


def _real(data: Path, frame: str, fields: int) -> list[Image]:
    paths = list_images(data / ("all4/images" if frame == "224 x 224" else "frames-1280x960"))
    return [decode_image(path.read_bytes()) for path in paths[:: max(1, len(paths) // fields)][:fields]]


def _measure(frame: str, pictures: list[Image]) -> dict[str, Any]:
    # On one thread each: while another process has the core, a second thread only makes both wait.
    cv2.setNumThreads(1)
    before_ms, now_ms = zip(*(_timed(*_prepare(frame, picture)) for picture in pictures), strict=True)
    ratios = np.divide(now_ms, before_ms)
    return {
        "frame": frame,
        "fields_count": len(pictures),
        "before_ms": round(float(np.median(before_ms)), 3),
        "now_ms": round(float(np.median(now_ms)), 3),
        "ratio": round(float(np.median(ratios)), 3),
        "ratio_p90": round(float(np.percentile(ratios, 90)), 3),
    }


def _prepare(frame: str, picture: Image) -> tuple[Image, Image, View]:
    """Field, denoised field and view of a picture."""
    window = choose_window(picture.shape[0], picture.shape[1], GEOMETRY)
    if window is None:
        raise ValueError(f"{frame} px is too small")
    field, view = fit(take(picture, window, GEOMETRY), window, GEOMETRY)
    return field, SEGMENTATION_DENOISER(field), view


def _timed(field: Image, denoised: Image, view: View, rounds: int = 15) -> tuple[float, float]:
    """Median milliseconds of release 0.2 and of this release, alternating."""
    taken_ms: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        started = time.perf_counter()
        _before(field, denoised)
        between = time.perf_counter()
        _now(field, denoised, view)
        taken_ms[0].append((between - started) * 1e3)
        taken_ms[1].append((time.perf_counter() - between) * 1e3)
    return float(np.median(taken_ms[0])), float(np.median(taken_ms[1]))


def _before(field: Image, denoised: Image) -> None:
    lab = to_lab(denoised)
    measure_all_pixels(field, lab, segment_a_star(lab))


def _now(field: Image, denoised: Image, view: View) -> None:
    seen = denoised if view.rgb is field else SEGMENTATION_DENOISER(view.rgb)
    found = find_cells(seen, pixel_aspect=view.pixel_aspect).segmentation
    measure(field, denoised, found.mask_of_size(*field.shape[:2]))
