"""``command/{name}``: the requests to a device."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edge_agent.contracts.base import CanonicalUuid, Contract, whole_number
from edge_agent.contracts.calibration import MAX_CALIBRATION_FRAMES, CalibrationMethod
from edge_agent.contracts.manifest import Slug
from edge_agent.contracts.specimen import FieldsCount, SlideNumber, SpecimenId

MAX_REQUEST_BYTES = 4096


class CommandName(StrEnum):
    """The last segment of a command's topic."""

    CAPTURE = "capture"
    PAUSE = "pause"
    RESUME = "resume"
    SET_SPECIMEN = "set-specimen"
    FINISH_SPECIMEN = "finish-specimen"
    SELF_TEST = "self-test"
    GET_CONFIG = "get-config"
    CALIBRATE = "calibrate"
    SELECT_MODEL = "select-model"
    SHADOW_MODEL = "shadow-model"
    ADAPT = "adapt"
    CANCEL_ADAPTATION = "cancel-adaptation"


class Command(Contract):
    """A request. If it is sent again with the same id, it gets the same answer and nothing is done twice.

    What the JSON Schema allows is accepted, and nothing else.
    """

    schema_: Literal["leukoscope/command/v1"] = Field(default="leukoscope/command/v1", alias="schema")
    id: CanonicalUuid = Field(description="Chosen by the sender, new for each request.")


class SetSpecimen(Command):
    """Readings belong to this slide from now on."""

    specimen: SpecimenId = Field(
        description="Opaque: a UUID, or a code such as S-7K3F-92QX. A name, a date or a record number is refused."
    )
    slide: SlideNumber = Field(default=1, description="Number of the slide of this specimen.")
    fields_count: FieldsCount | None = Field(
        default=None,
        description="Number of fields that shall be judged. It is shown and reported; the slide stays open beyond it.",
    )


class Calibrate(Command):
    """Measure the scale and the light of the next frames. Nothing is changed."""

    method: CalibrationMethod = Field(
        default=CalibrationMethod.SMEAR, description="What lies under the microscope: a thin smear or a micrometer."
    )
    frames_count: Annotated[int, Field(strict=True, ge=1, le=MAX_CALIBRATION_FRAMES), BeforeValidator(whole_number)] = (
        Field(default=5, description="Number of frames to measure.")
    )
    division_um: Annotated[float, Field(strict=True, gt=0, le=10_000)] = Field(
        default=10.0, description="Distance of the micrometer's neighbouring lines."
    )


ModelReference = Annotated[str, Field(strict=True, min_length=1, max_length=128)]


class SelectModel(Command):
    """Read with another of the bundles that are installed, and perhaps a head, also after a restart."""

    model: ModelReference = Field(description="Name of an installed bundle, or NAME@VERSION.")
    head: ModelReference | None = Field(
        default=None,
        description="Name of an installed head, or NAME@VERSION; null for the bundle's own classes.",
    )


class ShadowModel(Command):
    """Let a candidate judge beside the model in use, until a restart. What it says is counted and not published."""

    model: ModelReference | None = Field(
        description="Name of an installed bundle, or NAME@VERSION; null to end the comparison."
    )
    head: ModelReference | None = Field(
        default=None,
        description="Name of an installed head of that bundle, or NAME@VERSION; null for the bundle's own classes.",
    )


class Adapt(Command):
    """Begin to fit a head to the fields that were labelled on this device. It is installed, and not used by itself."""

    label_set: Slug | None = Field(
        default=None, description="Name of the label set; it may be left out where there is only one."
    )
    name: Slug = Field(description="Name of the head. Fitting one of the same name again makes its next version.")


REQUESTS: dict[CommandName, type[Command]] = {
    **dict.fromkeys(CommandName, Command),
    CommandName.SET_SPECIMEN: SetSpecimen,
    CommandName.CALIBRATE: Calibrate,
    CommandName.SELECT_MODEL: SelectModel,
    CommandName.SHADOW_MODEL: ShadowModel,
    CommandName.ADAPT: Adapt,
}


def request_message(name: CommandName) -> str:
    """The name of a command's request among all messages."""
    return "command" if REQUESTS[name] is Command else f"command-{name}"
