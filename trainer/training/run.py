"""The folder that one training leaves: how it was made, on what, what it measured, and the weights."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Self

from pydantic import Field, ValidationError

from edge_agent.settings import Settings
from trainer.data.description import Description
from trainer.errors import RunError

CONFIG = "config.json"
SPLIT = "manifest.csv"
METRICS = "metrics.json"
CURVES = "curves.csv"
WEIGHTS = "weights.npz"
MODEL = "model.tflite"
QUANTIZATION = "quantization.json"
EVALUATION = "evaluation.json"
"""Of the bundle that was made of the run, on the test images."""
CHECKPOINT = "checkpoint.npz"
"""There while a training is unfinished."""
CACHE = "cache"
"""Folder of what the frozen layers made of the images; there while a training is unfinished."""

_LIBRARIES = ("keras", "numpy", "opencv-python-headless", "scikit-learn", "scipy", "tensorflow-cpu", "tensorflow")


class TrainOptions(Settings):
    """All that 'trainer train' was asked for."""

    data: str
    out: str
    description: str | None
    alpha: float
    weights: str
    preprocessing: str
    denoise: str
    seed: int = Field(ge=0)
    test_share: float = Field(gt=0, lt=0.5)
    validation_share: float = Field(gt=0, lt=0.5)
    variants: int = Field(ge=1, description="Augmented variants per training image.")
    epochs: int = Field(ge=0, description="At most so many for the layers before the head; 0: the head alone.")
    teacher: tuple[str, ...] = Field(description="Runs whose networks, averaged, teach this one.")
    split: str | None = Field(description="A split to use again instead of making one.")

    def command(self) -> str:
        """The command line that asks for this."""
        words = ["trainer", "train"]
        for name, value in self.model_dump().items():
            values = value if isinstance(value, tuple) else () if value is None else (value,)
            for each in values:
                words += [f"--{name.replace('_', '-')}", str(each)]
        return shlex.join(words)


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
        """The configuration of a run that starts now, here. Raises ``RunError`` if it has a teacher that is none."""
        before = "".join(f"{read_config(Path(teacher)).command} && " for teacher in options.teacher)
        return cls(
            options=options,
            dataset=dataset,
            dataset_sha256=sha256,
            images_count=images_count,
            command=before + options.command(),
            commit=source_commit(),
            created_at=datetime.now(UTC),
            versions={"python": platform.python_version(), **_versions()},
        )


class Duration(Settings):
    """How long a training took, in ``metrics.json``."""

    wall_s: float
    cpu_s: float = Field(description="Processor time of all cores together.")
    cores_count: int


def source_commit() -> str:
    """Commit of the source, with '+' where code has changes since; "unknown" outside a checkout.

    Bundles are no code: 'make models' removes the old ones before it makes new ones.
    """
    here = Path(__file__).parents[1]
    try:
        head = _git(here, "rev-parse", "--verify", "HEAD")
        changed = _git(here, "status", "--porcelain", "--", ".", "../edge_agent", ":(exclude)../edge_agent/models")
        return head + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of ``path`` when it is complete, so that a kill leaves the old one.

    Raises ``RunError`` if it cannot be written, such as on a full disk; the old file stays then, too.
    """
    draft = path.with_name(f"{path.name}.part")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RunError(
            f"{path} cannot be written ({error.strerror}).",
            remedy="Make room, or mend the folder, and give the same command again: it goes on from there.",
        ) from error


def write_json(path: Path, content: Settings | dict[str, Any]) -> None:
    """Write indented JSON, for people and for diffs. Raises ``RunError``."""
    plain = content.model_dump(mode="json") if isinstance(content, Settings) else content
    with replacing(path) as file:
        file.write((json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode())


def read_config(run: Path) -> RunConfig:
    """``config.json`` of a run folder. Raises ``RunError``."""
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


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
