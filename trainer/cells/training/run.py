"""The folder of one training of a cells bundle: its configuration, its cells, and the weights."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from edge_agent.settings import Settings
from trainer.cells.training.options import CellsOptions
from trainer.errors import RunError
from trainer.training.provenance import library_versions, source_commit

CONFIG = "cells.json"
PARTS = "cells.csv"
CURVES = "curves.csv"
METRICS = "metrics.json"
WEIGHTS = "weights.npz"
CHECKPOINT = "checkpoint.npz"
"""Exists while a training is unfinished."""


class CellsRunConfig(Settings):
    """``cells.json``: options, data and versions, enough to make the run again."""

    options: CellsOptions
    cells_sha256: str = Field(description="Of the checksums of all pictures, in their order.")
    cells_count: int
    command: str
    commit: str
    created_at: datetime
    versions: dict[str, str]

    @classmethod
    def now(cls, options: CellsOptions, sha256: str, cells_count: int) -> Self:
        """The configuration of a run that starts now, here."""
        return cls(
            options=options,
            cells_sha256=sha256,
            cells_count=cells_count,
            command=options.command(),
            commit=source_commit(),
            created_at=datetime.now(UTC),
            versions={"python": platform.python_version(), **library_versions()},
        )


def read_cells_config(run: Path) -> CellsRunConfig:
    """``cells.json`` of a run folder. Raises ``RunError``."""
    try:
        return CellsRunConfig.model_validate_json((run / CONFIG).read_bytes())
    except FileNotFoundError as error:
        raise RunError(f"{run} is no run of 'trainer train-cells'.") from error
    except OSError as error:
        raise RunError(f"{run / CONFIG} cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise RunError(f"{run / CONFIG} is damaged: {error.errors()[0]['msg']}.") from error
