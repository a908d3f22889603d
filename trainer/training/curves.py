"""Writes a training's curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from trainer.files import replacing
from trainer.training.checkpoint import Epoch


def write_curves(path: Path, history: Sequence[Epoch]) -> None:
    """Write each epoch's figures as a row of a CSV file. Raises ``OutputUnwritable``."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [each.name for each in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(each) for each in history)
    with replacing(path) as file:
        file.write(text.getvalue().encode())
