"""What 'trainer cross-validate' found."""

from __future__ import annotations

from pydantic import Field

from edge_agent.settings import Settings
from trainer.cross_validation.plan import Recipe
from trainer.evaluation.figures import Figures


class HeldOutImage(Settings):
    """What the model of a fold said of one of its images, as the agent would use it."""

    path: str
    label: str
    probabilities: tuple[float, ...] = Field(description="In the order of the classes, refused or not.")
    reason: str | None = Field(description="Why it was refused; null where it got a label.")
    shifted_right_count: int = Field(description="Of the moderately shifted copies, those with the right top class.")
    shifted_answered_count: int = Field(description="Of the same, those that got a label.")


class FoldResult(Settings):
    """``fold-N.json``: everything that a finished fold adds to the whole."""

    fold: int
    training_count: int
    validation_count: int
    model_sha256: str
    draws: int = Field(ge=1, description="Moderately shifted copies of each image.")
    images: tuple[HeldOutImage, ...] = Field(min_length=1)


class FoldFigures(Settings):
    """One fold's row."""

    fold: int
    images_count: int
    accuracy_ratio: float
    accuracy_interval_ratio: tuple[float, float] = Field(description="95 % Wilson interval.")
    shifted_accuracy_ratio: float
    refused_ratio: float


class CrossValidated(Settings):
    """``cross-validation.json``."""

    dataset: str
    images_count: int
    groups_count: int
    seed: int
    recipe: Recipe
    figures: Figures = Field(description="Of all images, each judged by the model of the fold that held it out.")
    shifted_accuracy_ratio: float = Field(description="Under all moderate shifts at once.")
    shifted_accuracy_interval_ratio: tuple[float, float] = Field(description="95 %, bootstrap by groups.")
    shifted_answered_ratio: float
    folds: tuple[FoldFigures, ...]
