"""The manifest of a cells bundle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import edge_agent
from edge_agent.contracts import MANIFEST_SCHEMA, BundleKind, Manifest
from edge_agent.contracts.manifest import (
    CellWindows,
    Evidence,
    PreprocessingId,
    Reference,
    Training,
)
from edge_agent.inference.bundle import MODEL
from edge_agent.vision.cells import CELL_WINDOW_UM
from trainer.cells.laboratories.labels import LABELS
from trainer.cells.training.map_cache import DENOISE, PREPROCESSING
from trainer.cells.training.options import CellsOptions
from trainer.cells.training.run import CellsRunConfig
from trainer.cells.windows.canvases import UM_PER_PIXEL
from trainer.cells.windows.cutting import WINDOW_PX
from trainer.export.bundle_files import OUTPUTS, Calibration, describe_input, hash_files
from trainer.export.identity import BundleIdentity

MAX_CELLS_COUNT = 16
"""More cells of one field take too long; a slide has many fields."""


def build_cells_manifest(
    identity: BundleIdentity,
    config: CellsRunConfig,
    contents: Mapping[str, bytes],
    calibration: Calibration | None = None,
    evidence: Evidence | None = None,
    reference: Reference | None = None,
) -> Manifest:
    """The manifest of these files; without ``calibration`` nothing is refused. Raises ``RunError`` for a bad model."""
    chosen = calibration or Calibration()
    return Manifest(
        schema=MANIFEST_SCHEMA,
        name=identity.name,
        version=identity.version,
        kind=BundleKind.CELLS,
        created_at=datetime.now(UTC),
        demonstration=False,
        labels=LABELS,
        input=describe_input(contents[MODEL], WINDOW_PX),
        preprocessing=PreprocessingId(id=PREPROCESSING, denoise=DENOISE),
        um_per_pixel=UM_PER_PIXEL,
        cells=CellWindows(window_um=CELL_WINDOW_UM, max_cells_count=MAX_CELLS_COUNT, probabilities="blast-first@1"),
        outputs=OUTPUTS,
        temperature=chosen.temperature,
        thresholds=chosen.thresholds,
        training=Training(
            dataset="cells of several laboratories, listed in data.md",
            dataset_sha256=config.cells_sha256,
            images_count=config.cells_count,
            split=describe_split(config.options),
            seed=config.options.seed,
            commit=config.commit,
            command=config.command,
        ),
        evidence=evidence,
        reference=reference,
        min_agent_version=edge_agent.__version__,
        files=hash_files(contents),
    )


def describe_split(options: CellsOptions) -> str:
    """How the cells were divided, in words."""
    if options.leave_out is not None:
        return (
            f"test: all cells of {options.leave_out}; validation: {options.validation_share:g} of the others; "
            f"{options.apart.value} on one side"
        )
    return (
        f"test {options.test_share:g} and validation {options.validation_share:g} of the cells, by a hash; "
        f"{options.apart.value} on one side"
    )
