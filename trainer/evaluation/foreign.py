"""Measures how a bundle handles images that it was not made for: it must refuse them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from scipy.stats import binomtest

from edge_agent.analysis.cell_scale import spread
from edge_agent.cameras.frame import Encoded
from edge_agent.cameras.image_files import IMAGE_SUFFIXES
from edge_agent.contracts import Outcome
from edge_agent.settings import Settings
from trainer.data.dataset import printable
from trainer.errors import DataError
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.progress import track


class ForeignFigures(Settings):
    """One folder of images that the model was not made for."""

    folder: str
    images_count: int = Field(description="Those that could be read.")
    unreadable: tuple[str, ...] = Field(description="Those that could not.")
    refused_ratio: float
    refused_interval_ratio: tuple[float, float] = Field(description="95 % Wilson interval.")
    refusals: dict[str, int] = Field(description="How many were refused, by reason.")
    answered_labels: dict[str, int] = Field(description="Labels of the rest.")


def measure_foreign(analyzer: BundleAnalyzer, folders: Sequence[Path]) -> tuple[ForeignFigures, ...]:
    """One row for each of ``folders``, or of the folders below it, that contains images. Raises ``DataError``."""
    return tuple(_measure(analyzer, name, paths) for folder in folders for name, paths in list_foreign(folder).items())


def list_foreign(folder: Path) -> dict[str, list[Path]]:
    """The images below ``folder``, by the folder that contains them. Raises ``DataError`` if there are none."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}.", remedy="Check --foreign.")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file():
            found.setdefault(printable(path.parent.relative_to(folder.parent).as_posix()), []).append(path)
    if not found:
        raise DataError(f"{folder} has no images.", remedy="Check --foreign.")
    return found


def _measure(analyzer: BundleAnalyzer, name: str, paths: list[Path]) -> ForeignFigures:
    analyzer.find_scale(Encoded(path.read_bytes()) for path in spread(paths))
    readings = [(path, analyzer.read(Encoded(path.read_bytes()))) for path in track(paths, name)]
    read = [reading for _, reading in readings if reading.outcome is not Outcome.FAILED]
    if not read:
        raise DataError(f"no image of {name} can be read.", remedy="Check --foreign.")
    refused = [reading for reading in read if reading.outcome is not Outcome.CLASSIFIED]
    interval = binomtest(len(refused), len(read)).proportion_ci(method="wilson")
    return ForeignFigures(
        folder=name,
        images_count=len(read),
        unreadable=tuple(printable(path.name) for path, reading in readings if reading.outcome is Outcome.FAILED),
        refused_ratio=len(refused) / len(read),
        refused_interval_ratio=(float(interval.low), float(interval.high)),
        refusals=dict(Counter(reading.reason.value for reading in refused if reading.reason).most_common()),
        answered_labels=dict(Counter(reading.label for reading in read if reading.label).most_common()),
    )
