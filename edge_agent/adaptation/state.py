"""What the microscope page shows of fitting a head."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from edge_agent.contracts import ErrorReport
from edge_agent.contracts.base import Contract, UtcTime


class FitState(StrEnum):
    """How far a fit has come."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FitMode(StrEnum):
    """What a fit is for."""

    FIGURE = "figure"
    """The accuracy so far, while labels come in. Its head is not kept."""
    HEAD = "head"
    """A head with the whole report."""


class ClassFigure(Contract):
    """How often held-out fields of one class were named rightly."""

    code: str
    images_count: int
    accuracy_ratio: float


class AccuracyFigure(Contract):
    """What cross-validation says with the labels of one moment."""

    at: UtcTime
    images_count: int = Field(description="Labelled fields that it was measured with.")
    accuracy_ratio: float
    low_ratio: float = Field(description="Lower end of the 95 % interval.")
    high_ratio: float = Field(description="Upper end of the 95 % interval.")
    classes: tuple[ClassFigure, ...]


class FittedHead(Contract):
    """The head of the last fit."""

    name: str
    version: str
    sha256: str
    bundle: str = Field(description="What 'select-model' calls the bundle that it was fitted on.")
    provisional: bool = Field(description="Whether it answers nothing, because its record does not show enough.")
    reasons: tuple[str, ...] = Field(description="What its record lacks, each as a sentence.")
    labels: tuple[str, ...] = Field(description="Names of its labels.")
    own_refused_ratio: float | None = Field(description="Share of the site's own fields that it would refuse.")


class Advice(Contract):
    """What more labels would bring."""

    code: str | None = Field(description="Class that gets them; null for every class.")
    more_count: int
    gain_ratio: float = Field(description="By how much the accuracy is expected to change.")
    accuracy_ratio: float = Field(description="The accuracy that is to be expected then.")


class Mistake(Contract):
    """A kept frame that was named otherwise than by the people here, while it was held out."""

    item: UUID
    label: str
    said: str


class FitReport(Contract):
    """What the whole report says beside the figures."""

    advice: tuple[Advice, ...] = Field(default=(), description="What is worth it.")
    more_brings_little: bool = Field(default=False, description="Whether no number of labels like these is worth it.")
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[str, ...] = Field(default=(), description="What may give the labels away, each as a sentence.")


class NeededLabels(Contract):
    """A class of a label set: how many fields it has, and how many it needs."""

    code: str
    name: str
    labelled_count: int
    needed_count: int = Field(description="Fields that a head needs before it may answer.")


class TeachableSet(Contract):
    """A label set that a head can be fitted to."""

    name: str
    labels: tuple[NeededLabels, ...]
    disputed_count: int = Field(description="Frames that wait for a second look, and do not count before.")


class AdaptationState(Contract):
    """Everything about fitting a head, at one moment."""

    enabled: bool
    installed: bool = Field(description="Whether the program that fits is there.")
    keeps_frames: bool = Field(description="Whether frames are kept, so that there is something to label.")
    bundle: str
    suggested_name: str
    min_images_count: int = Field(description="Labelled fields of each of two classes from which a fit is tried.")
    sets: tuple[TeachableSet, ...]
    state: FitState
    mode: FitMode | None = Field(description="Of the running or last fit.")
    label_set: str | None = Field(description="Of the running or last fit.")
    stage: str | None
    progress_ratio: float
    error: ErrorReport | None = Field(description="Why the last fit has no result.")
    figures: tuple[AccuracyFigure, ...] = Field(
        description="Since the agent started, the newest last, of one set and one bundle."
    )
    head: FittedHead | None = Field(description="The last head that was fitted since the agent started.")
    report: FitReport | None = Field(description="Of that head.")
