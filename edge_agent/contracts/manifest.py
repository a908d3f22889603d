"""``manifest.json`` of a bundle: everything needed to use a model and to trust it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from edge_agent.contracts.appearance import Aspect, Measure
from edge_agent.contracts.base import Contract, UtcTime

MANIFEST_SCHEMA = "leukoscope/bundle/v1"

MAX_CELLS = 64
"""More cells of one field are counted and not listed, so that a message stays small."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=64)]


class Label(Contract):
    """One class of the model. ``code`` is what messages carry."""

    code: Slug
    display_name: str = Field(min_length=1)
    meaning: str = Field(min_length=1, description="What the training data meant by this class.")
    malignant: bool


class InputTensor(Contract):
    """The model's input; the loader checks the file against this."""

    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)
    colour_order: Literal["RGB"]
    dtype: Literal["int8", "uint8"]
    scale: float = Field(gt=0, description="Difference in real value between two neighbouring integers of the input.")
    zero_point: int = Field(ge=-128, le=255)


class TrainingField(Contract):
    """What of a camera's picture the training images show, and how it was brought to the input's size.

    The agent makes the field of every frame in the same way. An image of the input's size is a field already.
    """

    aspect_width: int = Field(ge=1, le=100, description="Width of the pictures, as a ratio to aspect_height.")
    aspect_height: int = Field(ge=1, le=100, description="Height of the pictures, such as 3 for an aspect of 4:3.")
    fit: Literal["stretch", "crop"] = Field(
        description="stretch: the whole picture is scaled to the input, width and height each by its own factor. "
        "crop: the centre square is."
    )
    chroma: Literal["full", "half"] = Field(
        default="full",
        description="Resolution of the colour, as opposed to brightness: half if the images were stored at the input's "
        "size as JPEG with 4:2:0, as most programs do.",
    )


class BundleKind(StrEnum):
    """What a bundle judges at a time."""

    FIELD = "field"
    """A whole field."""
    CELLS = "cells"
    """A square window around each nucleated cell of a field."""


class CellWindows(Contract):
    """What the images of a cells bundle show, and how many cells of a field it judges."""

    window_um: float = Field(
        gt=0, le=200, description="Side of the square around a nucleus' centre that is one image, in the specimen."
    )
    max_cells_count: int = Field(
        ge=1, le=MAX_CELLS, description="Cells of a field that are judged at most, those with the largest nuclei first."
    )
    probabilities: Literal["blast-first@1"] | None = Field(
        default=None,
        description="How the bundle's logits become probabilities. blast-first@1: the first logit is the log-odds of a "
        "blast, whose probability is its sigmoid; the other labels share the rest by a softmax among them. Null, or "
        "not there: a softmax of all, as of fields. A head's logits always become that.",
    )


class OutputTensors(Contract):
    """Names of the outputs in the model's signature."""

    logits: str
    class_activation_map: str
    features: str
    middle_map: str = Field(description="A layer with its general-purpose weights, from which familiarity is measured.")


class PreprocessingId(Contract):
    """A named and versioned preprocessing and its parameters. The agent refuses what it does not have."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+@[0-9]+$")]
    denoise: str = Field(description="Name of the denoising, which is the first step.")


class Thresholds(Contract):
    """Thresholds of the decision, chosen on validation data."""

    max_unfamiliarity_score: float = Field(
        gt=0, description="Above this distance from the training images the agent abstains, whatever the probabilities."
    )
    min_confidence_ratio: float = Field(
        ge=0, le=1, description="Below this probability of the likeliest class the agent abstains."
    )


class Training(Contract):
    """How the model was trained, and on which images."""

    dataset: str
    dataset_sha256: Sha256 = Field(description="SHA-256 of the sorted list of the images' SHA-256.")
    images_count: int = Field(ge=1)
    split: str = Field(description="How the images were divided into training, validation and test sets.")
    seed: int
    commit: str = Field(description="Commit of the trainer, with '+' if its files had uncommitted changes.")
    command: str


class ClassEvidence(Contract):
    """How many images of one class there were, and how many of those held out were named rightly."""

    code: Slug
    training_images_count: int = Field(
        ge=0, description="Images that were only trained on or chosen thresholds by; 0 if each was held out once."
    )
    held_out_images_count: int = Field(ge=0, description="Images that had no part in either when they were judged.")
    held_out_right_count: int = Field(ge=0, description="Those whose likeliest class is theirs, refused or not.")
    specimens_count: int | None = Field(
        ge=0, description="Specimens or subjects of all images; null if the data set does not name them."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.held_out_right_count > self.held_out_images_count:
            raise ValueError("more held-out images are right than there are")
        return self


class Baseline(Contract):
    """What something that is not a cell, such as the colour of the background, says of the same held-out images."""

    name: str = Field(min_length=1, max_length=64)
    right_count: int = Field(ge=0, description="Held-out images that it names rightly.")


class Evidence(Contract):
    """The record on held-out images, through the model's file, that shows whether the bundle or head may be used."""

    held_out: str = Field(min_length=1, description="Which images were held out.")
    classes: tuple[ClassEvidence, ...] = Field(min_length=2)
    permutation_ratio: float = Field(
        ge=0,
        le=1,
        description="Share of random labellings of the held-out images, the true one included, that fit the answers at "
        "least as well as the true one: the p value of a permutation test.",
    )
    permutations_count: int = Field(ge=1000, description="Random labellings tried.")
    design_effect: float = Field(
        default=1.0,
        ge=1,
        description="How many times larger the variance of the accuracy is than if every image were independent: "
        "images of one specimen are right or wrong together.",
    )
    baselines: tuple[Baseline, ...] = Field(
        default=(), max_length=8, description="Each must be right less often than the model, or the model is not used."
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        # The true labelling counts among those that fit. Half of its share leaves room for rounding.
        if self.permutation_ratio < 0.5 / (self.permutations_count + 1):
            raise ValueError("permutation_ratio is less than the share of the true labelling alone")
        return self


class MeasureRange(Contract):
    """Percentiles of one measure over images, in the unit that the measure's name ends in."""

    low: float = Field(description="1st percentile.")
    median: float = Field(description="50th percentile.")
    high: float = Field(description="99th percentile.")
    images_count: int = Field(ge=1, description="Images in which it could be measured.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.median <= self.high or self.low == self.high:
            raise ValueError("low, median and high are not in order, or all the same")
        return self


class TrainingAppearance(Contract):
    """How the training images look, so that the agent can say how an unfamiliar field differs from them."""

    images_count: int = Field(ge=1, description="Training images that were measured.")
    measures: dict[Measure, MeasureRange] = Field(description="Those that enough of the images have, and vary in.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for measure, limits in self.measures.items():
            if limits.images_count > self.images_count:
                raise ValueError(f"{measure} was measured in more images than there are")
            if measure.aspect is not Aspect.COLOUR and limits.low <= 0:
                raise ValueError(f"{measure} is not above 0")
        return self


class Reference(Contract):
    """What the model says of images that had no part in training, so that the agent notices when fields drift away.

    Images that the agent would reject are left out.
    """

    images_count: int = Field(ge=1, description="Images that were judged.")
    unfamiliarity_score: MeasureRange
    confidence_ratio: MeasureRange | None = Field(
        description="Probability of the likeliest class of familiar images; null if it is nearly the same of all."
    )


def require_consistent(
    labels: tuple[Label, ...], evidence: Evidence | None, files: set[str], *, own: str, required: set[str]
) -> None:
    """Raise ``ValueError`` unless labels, evidence and file names fit together; ``own`` is the describing file."""
    codes = [label.code for label in labels]
    if len(set(codes)) != len(codes):
        raise ValueError(f"labels are not distinct: {codes}")
    if evidence is not None and sorted(each.code for each in evidence.classes) != sorted(codes):
        raise ValueError("evidence is not of the labels")
    if reserved := {own, "signature"} & files:
        raise ValueError(f"files cannot name {sorted(reserved)}")
    if missing := required - files:
        raise ValueError(f"files lacks {sorted(missing)}")


class Manifest(Contract):
    """The whole manifest. ``files`` covers every other file of the folder but the signature."""

    schema_: Literal["leukoscope/bundle/v1"] = Field(alias="schema")
    name: Slug
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    kind: BundleKind = Field(
        default=BundleKind.FIELD, description="What is judged at a time. Not there, as in older bundles: whole fields."
    )
    created_at: UtcTime
    demonstration: bool = Field(
        description="True for a model that was not trained on real smears. Every message repeats it."
    )
    labels: tuple[Label, ...] = Field(min_length=2)
    input: InputTensor
    preprocessing: PreprocessingId
    um_per_pixel: float | None = Field(
        gt=0,
        description="Height of what a pixel of the training images covers at input size; null if unknown. If the "
        "images were stretched, the width is aspect_width / aspect_height times that.",
    )
    cells: CellWindows | None = Field(default=None, description="Of a cells bundle, which needs it; else null.")
    field: TrainingField | None = Field(
        default=None,
        description="Null, or not there as in bundles of older agents: the training images are centre squares.",
    )
    outputs: OutputTensors
    temperature: float = Field(gt=0, description="The logits are divided by this before they become probabilities.")
    thresholds: Thresholds
    training: Training
    evidence: Evidence | None = Field(
        default=None, description="Without it, or where it shows too little, the bundle is provisional: it abstains."
    )
    appearance: TrainingAppearance | None = Field(
        default=None, description="Null, or not there as in older bundles: what differs is not said."
    )
    reference: Reference | None = Field(
        default=None, description="Null, or not there as in older bundles: drift is noticed by 'appearance' alone."
    )
    min_agent_version: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    files: dict[FileName, Sha256] = Field(max_length=32)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        require_consistent(
            self.labels,
            self.evidence,
            set(self.files),
            own="manifest.json",
            required={"model.tflite", "golden.npz", "ood.npz", "card.md"},
        )
        if (self.kind is BundleKind.CELLS) != (self.cells is not None):
            raise ValueError("'cells' belongs to a bundle of the kind 'cells', which needs it")
        if self.cells is not None and self.input.height_px != self.input.width_px:
            raise ValueError("the window of a cell is square, and so is the input of a cells bundle")
        if self.cells is not None and self.cells.probabilities is not None and not self.labels[0].malignant:
            raise ValueError("'cells.probabilities' needs a malignant first label")
        if self.cells is not None and self.field is not None:
            raise ValueError("a cells bundle judges no fields, so it cannot have 'field'")
        return self
