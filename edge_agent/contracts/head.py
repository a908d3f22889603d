"""``head.json`` of a head: a small classifier that was fitted at a site on a bundle's features."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from edge_agent.contracts.base import Contract, Ratio, UtcTime
from edge_agent.contracts.manifest import (
    Evidence,
    FileName,
    Label,
    Reference,
    Sha256,
    Slug,
    Thresholds,
    TrainingAppearance,
    require_consistent,
)

HEAD_SCHEMA = "leukoscope/head/v1"
MAX_LABELS = 12

Interval = tuple[Ratio, Ratio]


class HeadParent(Contract):
    """The bundle whose features the head was fitted on. It fits no other."""

    name: Slug
    version: str
    sha256: Sha256 = Field(description="SHA-256 of the bundle's model.tflite.")


class HeadTraining(Contract):
    """Which images the head was fitted to, and how."""

    dataset: str
    dataset_sha256: Sha256 = Field(description="SHA-256 of the sorted list of the images' SHA-256.")
    images_count: int = Field(ge=1)
    unreadable_count: int = Field(ge=0, description="Files that were skipped.")
    specimens_count: int | None = Field(ge=1, description="Null if the data set does not name specimens.")
    groups_count: int = Field(ge=1, description="Groups of images that the cross-validation kept together.")
    groups: Literal["specimen", "near-duplicate-and-time"] = Field(description="What makes a group.")
    regularisation: float = Field(gt=0, description="C of the logistic regression, chosen by inner cross-validation.")
    seed: int
    software: str = Field(description="Versions of leukoscope and scikit-learn.")
    command: str


class ClassFigures(Contract):
    """Cross-validated figures of one class."""

    code: Slug
    images_count: int = Field(ge=1)
    recall_ratio: Ratio
    recall_interval_ratio: Interval


class HeadFigures(Contract):
    """Figures of nested cross-validation, with 95 % intervals by bootstrap over groups.

    They are for people: whether the head may be used is judged from ``evidence`` alone.
    """

    accuracy_ratio: Ratio
    accuracy_interval_ratio: Interval
    auroc_ratio: Ratio | None = Field(
        description="Mean over the classes, each against the rest, but those of a single group; null if undefined."
    )
    auroc_interval_ratio: Interval | None
    calibration_error_ratio: Ratio = Field(description="Expected calibration error of the largest probability.")
    calibration_error_interval_ratio: Interval
    classes: tuple[ClassFigures, ...] = Field(min_length=2, max_length=MAX_LABELS)
    own_refused_ratio: Ratio = Field(description="Share of the site's own held-out images that would be unfamiliar.")


class HeadManifest(Contract):
    """The whole ``head.json``. ``files`` covers every other file of the folder but the signature."""

    schema_: Literal["leukoscope/head/v1"] = Field(alias="schema")
    name: Slug
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$", max_length=32)]
    created_at: UtcTime
    demonstration: bool = Field(description="True if the images were not real smears. Every message repeats it.")
    parent: HeadParent
    features: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+@[0-9]+$", max_length=64)] = Field(
        description="Which numbers of a field the head uses. The agent refuses what it does not have."
    )
    labels: tuple[Label, ...] = Field(min_length=2, max_length=MAX_LABELS)
    temperature: float = Field(gt=0, description="The logits are divided by this before the softmax.")
    thresholds: Thresholds
    training: HeadTraining
    evidence: Evidence | None = Field(description="Without it, or where it shows too little, the head is provisional.")
    figures: HeadFigures | None
    appearance: TrainingAppearance | None = Field(description="How the site's images look.")
    reference: Reference | None = Field(
        default=None,
        description="What the head says of the site's held-out images; null: drift is noticed by 'appearance' alone.",
    )
    min_agent_version: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$", max_length=32)]
    files: dict[FileName, Sha256] = Field(max_length=16)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        require_consistent(
            self.labels, self.evidence, set(self.files), own="head.json", required={"head.npz", "card.md"}
        )
        return self
