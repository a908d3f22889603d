"""The folder of one training: its configuration, its data, its figures, and its weights."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from edge_agent.settings import Settings
from trainer.data.description import Description
from trainer.errors import RunError
from trainer.training.options import TrainOptions
from trainer.training.provenance import library_versions, source_commit

CONFIG = "config.json"
CELLS_CONFIG = "cells.json"
"""Marks the run of a cells bundle, which is another kind of run."""
SPLIT = "manifest.csv"
METRICS = "metrics.json"
CURVES = "curves.csv"
WEIGHTS = "weights.npz"
MODEL = "model.tflite"
QUANTIZATION = "quantization.json"
EVALUATION = "evaluation.json"
"""Figures of the run's bundle on the test images."""
CHECKPOINT = "checkpoint.npz"
"""Exists while a training is unfinished."""
CACHE = "cache"
"""Folder of the frozen layers' outputs; exists while a training is unfinished."""


class RunConfig(Settings):
    """``config.json``: options, data and versions, enough to make the run again."""

    options: TrainOptions
    dataset: Description
    dataset_sha256: str
    images_count: int
    command: str = Field(description="What made the run, its teachers' commands first.")
    commit: str
    created_at: datetime
    versions: dict[str, str]

    @classmethod
    def now(cls, options: TrainOptions, dataset: Description, sha256: str, images_count: int) -> Self:
        """The configuration of a run that starts now, here. Raises ``RunError`` if a teacher is not a run."""
        before = "".join(f"{read_config(Path(teacher)).command} && " for teacher in options.teacher)
        return cls(
            options=options,
            dataset=dataset,
            dataset_sha256=sha256,
            images_count=images_count,
            command=before + options.command(),
            commit=source_commit(),
            created_at=datetime.now(UTC),
            versions={"python": platform.python_version(), **library_versions()},
        )


class Duration(Settings):
    """How long a training took, in ``metrics.json``."""

    wall_s: float
    cpu_s: float = Field(description="Processor time of all cores together.")
    cores_count: int


def read_config(run: Path) -> RunConfig:
    """``config.json`` of a run folder. Raises ``RunError``."""
    if (run / CELLS_CONFIG).exists():
        raise RunError(
            f"{run} was written by 'trainer train-cells'.",
            remedy="For a bundle of it, run 'trainer bundle-cells'; then 'trainer judge-cells' measures that.",
        )
    try:
        return RunConfig.model_validate_json((run / CONFIG).read_bytes())
    except OSError as error:
        raise RunError(f"{run / CONFIG} cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise RunError(f"{run / CONFIG} is damaged: {error.errors()[0]['msg']}.") from error


def read_duration(run: Path) -> Duration:
    """How long the training of a finished run took, by its ``metrics.json``. Raises ``RunError``."""
    try:
        found = json.loads((run / METRICS).read_bytes())
        return Duration.model_validate({name: found[name] for name in Duration.model_fields})
    except OSError as error:
        raise RunError(f"{run / METRICS} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{run / METRICS} is damaged: {error}.") from error
