"""How an unfamiliar field differs from the training images: part of a result."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_agent.contracts.appearance import Aspect, Direction, Measure
from edge_agent.contracts.base import OpenContract

MAX_DIFFERENCES = len(Aspect)
"""One of each aspect: a tint moves all colours, and would hide that the scale differs too."""


class _Difference(OpenContract):
    aspect: Aspect
    measure: Measure
    direction: Direction
    beyond_ratio: float = Field(gt=0, description="Distance from the range, in half widths of the range.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.measure.aspect is not self.aspect:
            raise ValueError(f"{self.measure} is no measure of {self.aspect}")
        return self


class ColourDifference(_Difference):
    """A colour outside the range of the training images. Units of CIE LAB."""

    aspect: Literal[Aspect.COLOUR] = Aspect.COLOUR
    value_delta_e: float
    low_delta_e: float = Field(description="1st percentile of the training images.")
    median_delta_e: float = Field(description="Median of the training images.")
    high_delta_e: float = Field(description="99th percentile of the training images.")


class TextureDifference(_Difference):
    """Sharpness or noise outside the range of the training images."""

    aspect: Literal[Aspect.TEXTURE] = Aspect.TEXTURE
    value_ratio: float
    low_ratio: float = Field(description="1st percentile of the training images.")
    median_ratio: float = Field(gt=0, description="Median of the training images.")
    high_ratio: float = Field(description="99th percentile of the training images.")


class ScaleDifference(_Difference):
    """A size of cells outside the range of the training images. Pixels of the model's input."""

    aspect: Literal[Aspect.SCALE] = Aspect.SCALE
    value_px: float
    low_px: float = Field(description="1st percentile of the training images.")
    median_px: float = Field(gt=0, description="Median of the training images.")
    high_px: float = Field(description="99th percentile of the training images.")


Difference = Annotated[ColourDifference | TextureDifference | ScaleDifference, Field(discriminator="aspect")]


def difference_sentence(difference: ColourDifference | TextureDifference | ScaleDifference) -> str:
    """What the device saw and what to do, for people."""
    words = difference.measure.words(difference.direction) or ""
    match difference:
        case TextureDifference():
            times = difference.value_ratio / difference.median_ratio
        case ScaleDifference():
            times = difference.value_px / difference.median_px
        case ColourDifference():
            return words
    return words.format(times=f"{times:.2g}")


NOTHING_DIFFERS = "None of the simple measures explains it."
"""For an unfamiliar field without differences."""
