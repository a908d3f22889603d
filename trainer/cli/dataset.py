"""Reads the data set that a command is given."""

from __future__ import annotations

from pathlib import Path

from trainer.data.dataset import Dataset, read_dataset, report_unreadable
from trainer.data.description import Description, load_description


def read_described(data: Path, description: str | None, table: Path | None) -> tuple[Description, Dataset]:
    """The description and the images, reporting what was skipped. Raises ``DataError``."""
    described = load_description(description, data)
    dataset = read_dataset(data, described, table)
    report_unreadable(dataset.unreadable)
    return described, dataset
