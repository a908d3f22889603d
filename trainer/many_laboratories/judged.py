"""A bundle's answers for a laboratory's cells, one by one, as 'trainer judge-cells' writes them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from edge_agent.contracts.manifest import Sha256, Slug
from edge_agent.settings import Settings
from trainer.cells.laboratories.sources import Meaning
from trainer.errors import DataError


class JudgedCell(Settings):
    """One cell. Without probabilities, the network did not see it."""

    path: str = Field(description="Below the data folder.")
    meaning: Meaning = Field(description="What it is, as its laboratory says.")
    group: str | None = Field(description="Its patient; null where patients are not known.")
    type: Slug | None = Field(description="What the agent says it is; null where it refuses to.")
    refusal: str | None = Field(description="Why the agent gives no type.")
    probabilities: tuple[float, ...] | None = Field(
        description="Of the labels, in their order; also of a cell that was then refused."
    )
    blast_ratio: float | None = Field(description="Summed probability of the malignant labels.")
    unfamiliarity_score: float | None


class JudgedWith(Settings):
    """The model, and its limits."""

    name: str
    version: str
    sha256: Sha256 = Field(description="Of model.tflite.")
    manifest_sha256: Sha256
    max_unfamiliarity_score: float
    min_confidence_ratio: float


class Judged(Settings):
    """A laboratory's cells, or a part of them."""

    laboratory: Slug
    part: str
    model: JudgedWith | None = Field(description="Null for what is no bundle, such as the linear baseline.")
    scale: str = Field(description="What the agent found the scale of the laboratory's pictures to be.")
    side_um: float = Field(gt=0, description="What the shorter side of the first picture shows at that scale.")
    blast_offset: float = Field(
        0.0, le=0, description="What the agent added to the log-odds of a blast, by the laboratory's own neutrophils."
    )
    labels: tuple[Slug, ...]
    cells: tuple[JudgedCell, ...]


def read_judged(path: Path) -> Judged:
    """Read a file that 'trainer judge-cells' wrote. Raises ``DataError``."""
    try:
        return Judged.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path} is not what 'trainer judge-cells' writes.", remedy="Remove it and judge the cells again."
        ) from error
