"""The state of the collection, as the microscope page shows it."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from edge_agent.collection.settings import Keep
from edge_agent.contracts import ErrorReport, Specimen
from edge_agent.contracts.base import Contract, UtcTime


class LabelOption(Contract):
    """A label that can be given."""

    code: str
    name: str
    meaning: str
    malignant: bool
    labelled_count: int = Field(description="Frames with this label.")


class LabelSetState(Contract):
    """A label set and how far it has come. The counts add up to the number of frames."""

    name: str
    question: str = Field(description="Empty for the usual one.")
    labels: tuple[LabelOption, ...]
    unlabelled_count: int
    labelled_count: int = Field(description="Frames whose label counts.")
    not_usable_count: int
    disputed_count: int = Field(description="Frames that wait for a second look.")


class CollectionState(Contract):
    """The collection at one moment."""

    keep: Keep
    every_nth_count: int
    consent: str
    frames_count: int
    size_bytes: int
    max_bytes: int
    max_frames_count: int
    max_age_days: float
    oldest_at: UtcTime | None = Field(description="When the oldest frame was taken.")
    kept_count: int = Field(description="Frames kept since the agent started.")
    dropped_count: int = Field(description="Frames that the disk was too slow for, since the agent started.")
    failed_count: int = Field(description="Frames that could not be written, since the agent started.")
    removed_count: int = Field(description="Frames that made room or became too old, since the agent started.")
    unreadable_count: int = Field(description="Records and lines of labels that cannot be understood.")
    error: ErrorReport | None = Field(description="Why frames cannot be kept now.")
    sets: tuple[LabelSetState, ...]


class Offered(Contract):
    """A frame to be labelled. It says neither what the model nor what anybody else said of it."""

    item: UUID
    captured_at: UtcTime
    specimen: Specimen | None
    skipped: bool = Field(description="Whether somebody has left it to others.")
    waiting_count: int = Field(description="Frames in this queue, this one included.")
    then: tuple[UUID, ...] = Field(description="The next ones, so that their pictures can be loaded already.")
