"""Why a frame was not classified although nothing went wrong: codes for programs, and words for people.

The only place with these words: the command line, the microscope page, the JSON Schema and the documentation take them
from here. A message carries the code alone: it stays small, and the words can be improved without changing what a
program compares.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Reason(StrEnum):
    """Why a frame was not classified although nothing went wrong. Failures have an error's code instead.

    Later versions may add reasons. Treat one that you do not know as 'not classified'.
    """

    sentence: str
    """What the device saw."""
    next_step: str
    """What the person at the microscope can do about it."""

    def __new__(cls, code: str, sentence: str = "", next_step: str = "") -> Self:
        """A reason with its words; ``Reason(code)`` finds it again."""
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.sentence = sentence
        reason.next_step = next_step
        return reason

    UNFAMILIAR = (
        "unfamiliar",
        "This field is unlike the images that the model was trained on.",
        "Check magnification, stain and camera settings. If they are right, this model was not made for such slides.",
    )
    LOW_CONFIDENCE = (
        "low_confidence",
        "The model is not sure enough to give a label.",
        "Look at this field yourself, or read more fields of the slide.",
    )
    MODEL_UNPROVEN = (
        "model_unproven",
        "No figures show that this model is right often enough, so its answer is withheld.",
        "Use a model that was tested on enough images, or have this one tested on more.",
    )
    BLURRED = (
        "blurred",
        "The nuclei are out of focus.",
        "Focus on the nuclei, and read the field again.",
    )
    MOVING = (
        "moving",
        "The field moved while it was being read.",
        "Let the stage rest, and keep the table free of vibration.",
    )
    UNDER_EXPOSED = (
        "under_exposed",
        "The picture is too dark.",
        "Turn the lamp up, open the diaphragm, or lengthen the exposure.",
    )
    OVER_EXPOSED = (
        "over_exposed",
        "The picture is too bright, so detail is lost.",
        "Turn the lamp down, or shorten the exposure.",
    )
    COLOUR_CAST = (
        "colour_cast",
        "The background is tinted; it should be nearly white or grey.",
        "Set the camera's white balance on an empty part of the slide.",
    )
    NO_COLOUR = (
        "no_colour",
        "Everything in the picture has nearly the same colour, so the stain cannot be seen.",
        "Set the camera to colour, check its white balance, and check that the slide is stained.",
    )
    EMPTY_FIELD = (
        "empty_field",
        "There is hardly anything but background in this field.",
        "Move to a part of the slide with cells, and focus on them.",
    )
    NO_NUCLEATED_CELLS = (
        "no_nucleated_cells",
        "This field is not empty, but no cell with a nucleus was found, or too little of one to judge.",
        "Move to a field with nucleated cells. If you see one here, check focus and stain.",
    )
    FIELD_TOO_SMALL = (
        "field_too_small",
        "The picture has too few pixels for the model.",
        "Use a higher resolution. If a pixel size is configured, check that it is right.",
    )

    CELL_CUT = (
        "cell_cut",
        "The edge of the picture cuts the cell, so not all of it is seen.",
        "Move the stage until the whole cell is in the picture.",
    )
    SCALE_UNKNOWN = (
        "scale_unknown",
        "It is not known how large a pixel is, so the cells cannot be shown to the model at the right size.",
        "Configure the pixel size of the camera, or move to a field with more red cells, which show the size.",
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Each code with its words: ``oneOf`` of ``const``, since ``enum`` has no place for them."""
        described = handler.resolve_ref_schema(handler(schema))
        described.pop("enum", None)
        described["oneOf"] = [
            {"const": reason.value, "description": f"{reason.sentence} {reason.next_step}"} for reason in cls
        ]
        return described


def explain_reason(code: str) -> str:
    """What a reason means and what to do, in English; ``code`` may be one that this release does not know."""
    for reason in Reason:
        if reason == code:
            return f"{reason.sentence} {reason.next_step}"
    return "This release does not know the reason."
