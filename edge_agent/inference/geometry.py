"""The geometry of a model's training images, from the words of a manifest to what cuts the field."""

from __future__ import annotations

from edge_agent.contracts.manifest import TrainingField
from edge_agent.vision.field import Geometry


def field_geometry(field: TrainingField | None, size_px: int) -> Geometry:
    """What fields of ``size_px`` look like to a model whose manifest has this section; None is the centre square."""
    if field is None:
        return Geometry(size_px)
    wide, high = (field.aspect_width, field.aspect_height) if field.fit == "stretch" else (1, 1)
    return Geometry(size_px, wide, high, half_chroma=field.chroma == "half")
