"""The simple measures by which a field may differ from the training images: codes for programs, words for people.

As with ``reasons``, this is the only place with these words, and a message carries the codes alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Aspect(StrEnum):
    """In which way a field differs."""

    COLOUR = "colour"
    TEXTURE = "texture"
    SCALE = "scale"


class Direction(StrEnum):
    """On which side of the training images' range a field is."""

    BELOW = "below"
    ABOVE = "above"


_LIGHT = "Check lamp, exposure and gamma."
_BALANCE = "Check the white balance and the lamp's colour."
_STAIN = "Check the stain, and the camera's colour settings."
_FOCUS = "Check the focus, and that the camera does not smooth the picture."
_SHARPENING = "Turn off sharpening in the camera."
_NOISE = "Turn the lamp up and the camera's gain down."
_MAGNIFICATION = "Check the magnification."
_WHERE = "in the training images."


class Measure(StrEnum):
    """A simple measure of a field. Its code ends in its unit. Later versions may add measures.

    Colours are medians in CIE LAB (D65): lightness is L*, redness a* (below 0: green), yellowness b* (below 0: blue).
    Diameters are in heights of a pixel of the model's input.
    """

    aspect: Aspect
    above: str
    """What the device saw and what to do where the field is above the range; ``{times}`` is value by median."""
    below: str | None
    """The same below the range; None if nothing is wrong with that."""

    def __new__(cls, code: str, aspect: Aspect = Aspect.COLOUR, above: str = "", below: str | None = None) -> Self:
        """A measure with its words; ``Measure(code)`` finds it again."""
        measure = str.__new__(cls, code)
        measure._value_ = code
        measure.aspect = aspect
        measure.above = above
        measure.below = below
        return measure

    BACKGROUND_LIGHTNESS = (
        "background_lightness_delta_e",
        Aspect.COLOUR,
        f"The background is lighter than {_WHERE} {_LIGHT}",
        f"The background is darker than {_WHERE} {_LIGHT}",
    )
    BACKGROUND_REDNESS = (
        "background_redness_delta_e",
        Aspect.COLOUR,
        f"The background is redder than {_WHERE} {_BALANCE}",
        f"The background is greener than {_WHERE} {_BALANCE}",
    )
    BACKGROUND_YELLOWNESS = (
        "background_yellowness_delta_e",
        Aspect.COLOUR,
        f"The background is yellower than {_WHERE} {_BALANCE}",
        f"The background is bluer than {_WHERE} {_BALANCE}",
    )
    NUCLEI_LIGHTNESS = (
        "nuclei_lightness_delta_e",
        Aspect.COLOUR,
        f"Nuclei are paler than {_WHERE} {_STAIN}",
        f"Nuclei are darker than {_WHERE} {_STAIN}",
    )
    NUCLEI_REDNESS = (
        "nuclei_redness_delta_e",
        Aspect.COLOUR,
        f"Nuclei are redder than {_WHERE} {_STAIN}",
        f"Nuclei are less red than {_WHERE} {_STAIN}",
    )
    NUCLEI_YELLOWNESS = (
        "nuclei_yellowness_delta_e",
        Aspect.COLOUR,
        f"Nuclei are less blue than {_WHERE} {_STAIN}",
        f"Nuclei are bluer than {_WHERE} {_STAIN}",
    )
    RED_CELLS_LIGHTNESS = (
        "red_cells_lightness_delta_e",
        Aspect.COLOUR,
        f"Red cells are paler than {_WHERE} {_STAIN}",
        f"Red cells are darker than {_WHERE} {_STAIN}",
    )
    RED_CELLS_REDNESS = (
        "red_cells_redness_delta_e",
        Aspect.COLOUR,
        f"Red cells are redder than {_WHERE} {_STAIN}",
        f"Red cells are greener than {_WHERE} {_STAIN}",
    )
    RED_CELLS_YELLOWNESS = (
        "red_cells_yellowness_delta_e",
        Aspect.COLOUR,
        f"Red cells are yellower than {_WHERE} {_STAIN}",
        f"Red cells are bluer than {_WHERE} {_STAIN}",
    )
    SHARPNESS = (
        "sharpness_ratio",
        Aspect.TEXTURE,
        f"Cells are {{times}} times as sharp as {_WHERE} {_SHARPENING}",
        f"Cells are only {{times}} times as sharp as {_WHERE} {_FOCUS}",
    )
    NOISE = (
        "noise_ratio",
        Aspect.TEXTURE,
        f"The picture is {{times}} times as noisy as {_WHERE} {_NOISE}",
        None,
    )
    NUCLEUS_DIAMETER = (
        "nucleus_diameter_px",
        Aspect.SCALE,
        f"Nuclei are {{times}} times as wide as {_WHERE} {_MAGNIFICATION}",
        f"Nuclei are only {{times}} times as wide as {_WHERE} {_MAGNIFICATION}",
    )
    RED_CELL_DIAMETER = (
        "red_cell_diameter_px",
        Aspect.SCALE,
        f"Red cells are {{times}} times as wide as {_WHERE} {_MAGNIFICATION}",
        f"Red cells are only {{times}} times as wide as {_WHERE} {_MAGNIFICATION}",
    )

    def words(self, direction: Direction) -> str | None:
        """What the device saw and what to do, with ``{times}`` where the amount belongs; None if nothing is wrong."""
        return self.above if direction is Direction.ABOVE else self.below
