"""All figures on the page: 'docs/figures/many-laboratories/results.json'."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from edge_agent.settings import Settings
from trainer.errors import DataError
from trainer.many_laboratories.figures import Estimate, LaboratoryFigures
from trainer.many_laboratories.judged import JudgedWith
from trainer.many_laboratories.laboratory_probe import ProbeRow

RESULTS = "results.json"
TABLE = "table.md"
"""The short table by itself, for the card of a bundle."""


class Baselines(Settings):
    """The linear baseline, and what validation chose for it."""

    laboratories: tuple[LaboratoryFigures, ...]
    blast_inverse_regularisation: float = Field(description="scikit-learn's C.")
    types_inverse_regularisation: float
    mean_blast_auroc: Estimate | None


class ManyLaboratories(Settings):
    """What was measured. What there was no bundle for is empty."""

    resamples_count: int
    seed: int
    models: dict[str, JudgedWith] = Field(description="By the name of the run.")
    left_out: tuple[LaboratoryFigures, ...] = Field(
        description="The test half of each laboratory by the bundle that was trained on all others."
    )
    never_trained: tuple[LaboratoryFigures, ...] = Field(
        description="Laboratories for testing, by the bundle that was trained on all that are for training."
    )
    mean_blast_auroc: Estimate | None = Field(description="Over the laboratories left out that have blasts.")
    patients: tuple[LaboratoryFigures, ...] = Field(
        description="Test cells of a bundle that was trained on other patients of the same laboratories."
    )
    random: tuple[LaboratoryFigures, ...] = Field(
        description="Test cells of a bundle that was trained on a random choice of all pictures."
    )
    baseline: Baselines | None
    probe: tuple[ProbeRow, ...]


def read_results(folder: Path) -> ManyLaboratories | None:
    """Read the results in ``folder``; None if there are none. Raises ``DataError``."""
    path = folder / RESULTS
    try:
        return ManyLaboratories.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise DataError(f"{path} cannot be read.", remedy="Give 'trainer many-laboratories' again.") from error
