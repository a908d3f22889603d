"""``result/{camera}``: one message per reading, refusals and failures too, so that counts reconcile."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import OpenContract, Ratio, UtcTime
from edge_agent.contracts.capture import CaptureSettings
from edge_agent.contracts.cell import Cell, Differential
from edge_agent.contracts.difference import MAX_DIFFERENCES, Difference
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.manifest import MAX_CELLS, Sha256, Slug
from edge_agent.contracts.model_identity import ModelIdentity
from edge_agent.contracts.reasons import Reason
from edge_agent.contracts.scale import Scale
from edge_agent.contracts.specimen import SpecimenField

Percent = Annotated[float, Field(ge=0, le=100)]


class Outcome(StrEnum):
    """What was decided about a frame."""

    CLASSIFIED = "classified"
    ABSTAINED = "abstained"
    REJECTED = "rejected"
    FAILED = "failed"


class Clock(OpenContract):
    """The state of the device's clock when the frame was taken."""

    synchronised: bool | None = Field(
        description="Whether the system reports its clock as synchronised; null if it does not report it."
    )
    boot_id: str | None
    monotonic_ns: int = Field(ge=0, description="Orders the readings of one boot, even if the wall clock jumped.")


class Quality(OpenContract):
    """Whether a field is fit to be judged. Null where a measure does not apply."""

    focus_score: float | None = Field(
        ge=0, description="Tenengrad on nuclei: mean squared Sobel gradient of grey levels."
    )
    brightness_pct: Percent = Field(description="Mean grey level; 100 is white.")
    clipped_dark_pct: Percent = Field(description="Pixels with every channel at most 2 of 255.")
    clipped_bright_pct: Percent = Field(description="Pixels with every channel at least 253 of 255.")
    clipped_nuclei_pct: Percent | None = Field(
        description="Pixels of nuclei with at least two channels at least 253 of 255."
    )
    colour_cast_delta_e: float = Field(ge=0, description="Distance of the background from grey in CIE LAB (a*, b*).")
    colourfulness_delta_e: float = Field(ge=0, description="Spread of the field's colours in CIE LAB (a*, b*).")
    foreground_pct: Percent | None = Field(
        default=None,
        description="Share of the field that is darker than the background: cells, and whatever else lies there. Null "
        "only in a message of release 0.2.0 or older.",
    )
    motion_pct: Percent | None = Field(description="Mean change of grey level against the frame before.")


class Nuclei(OpenContract):
    """What the segmentation found. Lobes of one nucleus count as one, touching nuclei as several."""

    count: int = Field(ge=0)
    coverage_pct: Percent = Field(description="Share of the field covered by nuclei.")
    median_area_px: float | None = Field(
        ge=0,
        description="In pixels of the frame. Of an image that was stretched to the "
        "input's size, a pixel counts as wide as it covers: by an aspect of 4:3, 4/3 of a pixel.",
    )
    median_area_um2: float | None = Field(
        ge=0, description="Null where the scale is unknown; 'scale' says how it is known."
    )


class Decision(OpenContract):
    """The figures and thresholds that decided the outcome."""

    rule: str
    max_unfamiliarity_score: float = Field(gt=0)
    unfamiliarity_score: float = Field(ge=0, description="Distance of the field from the model's training images.")
    min_confidence_ratio: Ratio
    confidence_ratio: Ratio | None = Field(
        description="Probability of the likeliest class after the temperature; null for an unfamiliar field."
    )


class ImageIdentity(OpenContract):
    """Hash of the frame's file or JPEG if there was one, else of its pixels."""

    sha256: Sha256
    stored: bool


class Result(OpenContract):
    """A reading as it leaves the device."""

    schema_: Literal["leukoscope/result/v1"] = Field(default="leukoscope/result/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    demonstration: bool = Field(
        description="True if the model was not trained on real smears: the result has no meaning."
    )
    provisional: bool = Field(
        default=False,
        description="True if no record shows that the model is right often enough: it gives no label.",
    )
    id: UUID = Field(description="UUIDv7; the same on every delivery of this message.")
    site: Slug | None = Field(default=None, description="Null only in a message of release 0.2.0 or older.")
    device: Slug
    camera: Slug
    session: UUID = Field(description="UUIDv7 of this run of the agent.")
    seq: int = Field(ge=0, description="Number of the reading within its session, without gaps.")
    captured_at: UtcTime
    clock: Clock
    replayed: bool = Field(default=False, description="True for backlog sent after live results.")
    source: str | None = Field(
        description="Where the frame came from: a file's name below the camera's folder, with the frame's number in a "
        "video; scheme, host and port of a stream; or what was drawn."
    )
    specimen: SpecimenField | None = Field(description="Null if no slide is set.")
    outcome: Outcome
    reason: Annotated[Reason | str, Field(union_mode="left_to_right")] | None = Field(
        description="Only of a refused reading. The list may grow: take one that you do not know as 'not classified'."
    )
    error: ErrorReport | None
    label: Slug | None = Field(description="Only of a classified reading.")
    malignant: bool | None = Field(description="Only of a classified reading.")
    probabilities: dict[Slug, Ratio] | None = Field(
        description="Null for an unfamiliar field, where they would mean nothing."
    )
    malignant_ratio: Ratio | None = Field(
        description="Summed probability of the malignant classes; null where the probabilities are."
    )
    decision: Decision | None
    differs: tuple[Difference, ...] | None = Field(
        default=None,
        max_length=MAX_DIFFERENCES,
        description="How an unfamiliar field differs from the training images in simple measures, the farthest first; "
        "at most one of each aspect. Empty if none of them explains it; null of all other readings, and where the "
        "bundle does not say how its training images look.",
    )
    quality: Quality | None
    nuclei: Nuclei | None
    cells: tuple[Cell, ...] = Field(
        default=(), max_length=MAX_CELLS, description="Nucleated cells, the largest nuclei first."
    )
    differential: Differential | None = Field(
        default=None, description="Null unless a cells bundle judged the field, alone or beside 'model'."
    )
    scale: Scale | None = Field(default=None, description="Null if no field was found in the frame.")
    latency_ms: dict[Slug, Annotated[float, Field(ge=0)]] = Field(
        description="Time of each stage; 'waiting' is from capture to the start of the analysis, 'total' is "
        "everything after that. If the network runs on several cores, 'inference' is beside other stages and not "
        "part of 'total'; 'inference-wait' is, which is how much longer the network took than they did."
    )
    model: ModelIdentity
    accelerator: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="What ran the network on this frame: 'edge_tpu', or null for the processor, also where an Edge TPU "
        "failed on it. The list may grow.",
    )
    software: str
    capture: CaptureSettings
    image: ImageIdentity | None
