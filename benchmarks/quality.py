"""The quality measures of a folder of images, and how many of them the default limits reject."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.app import app
from edge_agent.analysis.rejection import rejection_reason
from edge_agent.cameras.image_files import list_images
from edge_agent.inference import load_bundle
from edge_agent.inference.geometry import field_geometry
from edge_agent.vision.cells import find_cells
from edge_agent.vision.decode import decode_image
from edge_agent.vision.field import cut_field
from edge_agent.vision.preprocessing import DENOISERS
from edge_agent.vision.quality import measure
from edge_agent.vision.settings import QualityLimits

PERCENTILES = (0, 0.1, 1, 50, 99, 99.9, 100)


@app.command("quality")
def quality(
    data: Annotated[Path, typer.Argument(help="Folder of images.")],
    bundle: Annotated[str, typer.Option(help="Bundle whose field is cut out of images of another size.")] = "accurate",
) -> None:
    """Percentiles of every measure over a folder, and what the default limits reject."""
    measures: dict[str, list[float]] = {}
    refused: dict[str, int] = {}
    paths = list_images(data)
    manifest = load_bundle(bundle).manifest
    geometry = field_geometry(manifest.field, manifest.input.height_px)
    for path in paths:
        field = cut_field(decode_image(path.read_bytes()), geometry)
        denoised = DENOISERS["median3"](field)
        segmentation = find_cells(denoised, pixel_aspect=geometry.pixel_aspect).segmentation
        measured = measure(field, denoised, segmentation.mask)
        values = {**asdict(measured), "coverage_pct": segmentation.coverage_pct}
        for name, value in values.items():
            if value is not None:
                measures.setdefault(name, []).append(value)
        reason = rejection_reason(measured, segmentation.coverage_pct, None, QualityLimits())
        if reason is not None:
            refused[reason] = refused.get(reason, 0) + 1
    table = Table(f"{len(paths)} images", *(f"{p:g} %" for p in PERCENTILES))
    for name, found in measures.items():
        table.add_row(name, *(f"{value:.2f}" for value in np.percentile(found, PERCENTILES)))
    console = Console()
    console.print(table)
    console.print(f"rejected by the default limits: {refused or 'none'}")
