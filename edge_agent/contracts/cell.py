"""The nucleated cells of a field: where each lies, and what a cells bundle says of it and of all together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edge_agent.contracts.base import OpenContract, Ratio
from edge_agent.contracts.manifest import Slug
from edge_agent.contracts.model_identity import ModelIdentity
from edge_agent.contracts.reasons import Reason


def _is_none(value: object) -> bool:
    return value is None


class Cell(OpenContract):
    """One nucleated cell, by its nucleus. Distances are in pixels of the frame.

    What only a cells bundle says is left out where none judged the cell, so that messages of other bundles stay small.
    """

    x_px: float = Field(description="Centre of the nucleus from the left edge of the frame.")
    y_px: float = Field(description="Centre of the nucleus from the top edge of the frame.")
    nucleus_area_px: float = Field(
        gt=0,
        description="As median_area_px of 'nuclei' counts. Of an image that is one cell's window: the whole image.",
    )
    nucleus_area_um2: float | None = Field(ge=0, description="Null where the scale is unknown.")
    window_side_px: float | None = Field(
        gt=0, description="Side of the square around the centre that shows the whole cell, 24 µm; null without a scale."
    )
    cut: bool = Field(description="Whether the edge of the field cuts the nucleus, so that it may be larger.")
    left_px: float | None = Field(
        default=None,
        exclude_if=_is_none,
        description="Left edge of the nucleus' box from the left edge of the frame. Absent, as all below, unless a "
        "cells bundle judged the field.",
    )
    top_px: float | None = Field(default=None, exclude_if=_is_none, description="Its top edge from that of the frame.")
    width_px: float | None = Field(default=None, gt=0, exclude_if=_is_none, description="Width of the nucleus' box.")
    height_px: float | None = Field(default=None, gt=0, exclude_if=_is_none, description="Height of the nucleus' box.")
    type: Slug | None = Field(
        default=None, exclude_if=_is_none, description="A label of the cells bundle; absent if the cell was refused."
    )
    type_ratio: Ratio | None = Field(
        default=None, exclude_if=_is_none, description="Probability of that type; absent where the type is."
    )
    blast_ratio: Ratio | None = Field(
        default=None,
        exclude_if=_is_none,
        description="Summed probability of the malignant types; absent unless the cell is familiar and the bundle "
        "proven.",
    )
    unfamiliarity_score: float | None = Field(
        default=None,
        ge=0,
        exclude_if=_is_none,
        description="Distance of the cell from the training images; absent if the network did not see it.",
    )
    refusal: Annotated[Reason | str, Field(union_mode="left_to_right")] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="Why the cell has no type. Absent with the type: it was not looked at, as there were so many. The "
        "list may grow, as that of 'reason' may.",
    )


class Differential(OpenContract):
    """What a cells bundle says of the nucleated cells of one field, summed up."""

    demonstration: bool = Field(
        description="True if the cells bundle was not trained on real smears: the types have no meaning."
    )
    provisional: bool = Field(
        description="True if no record shows that the cells bundle is right often enough: it gives no types."
    )
    cells_count: int = Field(
        ge=0, description="Nucleated cells found: judged, refused, and not looked at as there were so many."
    )
    judged_count: int = Field(ge=0, description="Cells with a type.")
    refused_count: int = Field(ge=0, description="Cells that have a 'refusal' in place of a type.")
    types_count: dict[Slug, Annotated[int, Field(ge=0)]] = Field(
        description="Judged cells of each type that the bundle knows, 0 too."
    )
    blasts_count: int = Field(ge=0, description="Judged cells whose type is malignant.")
    blast_ratio: Ratio | None = Field(description="blasts_count as a share of judged_count; null if none was judged.")
    model: ModelIdentity = Field(description="The cells bundle.")
