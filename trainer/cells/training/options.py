"""The options of 'trainer train-cells'."""

from __future__ import annotations

import shlex
from enum import StrEnum

from pydantic import Field

from edge_agent.settings import Settings


class Apart(StrEnum):
    """What is never both among the training and the test cells."""

    PATIENTS = "patients"
    """A patient's cells, or pictures of the same content where patients are not known."""
    PICTURES = "pictures"
    """Pictures alone, as many publications do: a patient's cells are then on both sides."""


class CellsOptions(Settings):
    """All options of 'trainer train-cells'."""

    data: str
    out: str
    weights: str
    sources: str | None = Field(None, description="Description of the laboratories; None for the shipped one.")
    cache: str = Field(description="Folder of what many trainings share: canvases, and the frozen layers' outputs.")
    leave_out: str | None = Field(description="A laboratory whose cells are all for testing.")
    apart: Apart
    test_share: float = Field(ge=0, lt=0.9, description="Share of the cells for testing, if no laboratory is left out.")
    validation_share: float = Field(gt=0, lt=0.5)
    variants: int = Field(ge=1, description="Varied windows per training cell.")
    epochs: int = Field(ge=1, description="Passes through the training cells.")
    seed: int = Field(ge=0)

    def command(self) -> str:
        """The command line with these options."""
        words = ["trainer", "train-cells"]
        for name, value in self.model_dump(mode="json", exclude_none=True).items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        return shlex.join(words)
