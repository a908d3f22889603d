"""Converts the geometry of a model's training images from the manifest's terms to those that cut the field."""

from __future__ import annotations

from edge_agent.contracts import BundleKind, Manifest
from edge_agent.contracts.manifest import TrainingField
from edge_agent.vision.field import Geometry


def field_geometry(field: TrainingField | None, size_px: int) -> Geometry:
    """The geometry of fields of ``size_px`` for a model whose manifest has this section; None is the centre square."""
    if field is None:
        return Geometry(size_px)
    wide, high = (field.aspect_width, field.aspect_height) if field.fit == "stretch" else (1, 1)
    return Geometry(size_px, wide, high, half_chroma=field.chroma == "half")


CELLS_GEOMETRY = Geometry(224, 4, 3)
"""The field in which a cells bundle looks for cells: nearly all of a camera's picture, at the size for which the limits
of quality were chosen."""


def bundle_geometry(manifest: Manifest) -> Geometry:
    """The field that a bundle judges, or looks for cells in."""
    if manifest.kind is BundleKind.CELLS:
        return CELLS_GEOMETRY
    return field_geometry(manifest.field, manifest.input.height_px)
