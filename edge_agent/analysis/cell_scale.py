"""The scale of images of single cells: as configured, measured by the red cells around them, or by usual sizes.

One image says little about its scale, but a run from one laboratory says more. So the scale is measured once per run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

import numpy as np

from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels
from edge_agent.contracts import Reason
from edge_agent.errors import ImageError
from edge_agent.vision.cell_image import VIEW_PX, measure_cell_image
from edge_agent.vision.decode import REDUCTIONS, decode_image, read_header
from edge_agent.vision.field import MAX_UPSCALING
from edge_agent.vision.red_cells import DIAMETER_UM

SAMPLE_COUNT = 64
"""The most images of a run that are measured."""

MIN_RULERS_COUNT = 5
"""The fewest images with red cells to measure by."""

USUAL_SIDE_UM = 32.0
USUAL_NUCLEUS_UM = 10.5
"""Usual sizes of an image of one cell and of the nucleus in it, for when nothing else is known. The scale is the
geometric mean of the scales that the two give."""

SIDE_RANGE_UM = (20.0, 48.0)
"""A guessed side lies within this range, whatever was taken for a nucleus."""

MAX_MIRRORED_RATIO = 1.5
"""Largest window, in shorter sides of the image. The part beyond the image is mirrored."""

T = TypeVar("T")


class CellScaleSource(StrEnum):
    """The source of the scale of a run."""

    CONFIGURED = "configured"
    RED_CELLS = "red_cells"
    RED_CELLS_AND_NUCLEI = "red_cells_and_nuclei"
    NUCLEI = "nuclei"
    USUAL = "usual"


@dataclass(frozen=True, slots=True)
class CellScale:
    """The scale of a run of images. One of the two sizes is known."""

    source: CellScaleSource
    um_per_pixel: float | None = None
    side_um: float | None = None
    """Size in the specimen of the shorter side of each image, however many pixels it has."""
    measured_count: int = 0
    """Number of images that the scale was measured in."""

    def um_per_pixel_of(self, height_px: int, width_px: int) -> float:
        """The size of a pixel of an image of this size."""
        if self.um_per_pixel is not None:
            return self.um_per_pixel
        return (USUAL_SIDE_UM if self.side_um is None else self.side_um) / min(height_px, width_px)

    def describe(self) -> str:
        """One line for a terminal."""
        if self.um_per_pixel is not None:
            size = f"{self.um_per_pixel:.3g} um per pixel"
        else:
            size = f"each image shows {USUAL_SIDE_UM if self.side_um is None else self.side_um:.0f} um"
        return f"Scale: {size}, {_TOLD[self.source].format(count=self.measured_count)}"


_HINT = " Give --um-per-pixel if you know it."
_TOLD = {
    CellScaleSource.CONFIGURED: "as given.",
    CellScaleSource.RED_CELLS: "by the red cells in {count} images.",
    CellScaleSource.RED_CELLS_AND_NUCLEI: "guessed by the red cells and nuclei in {count} images." + _HINT,
    CellScaleSource.NUCLEI: "guessed by the nuclei in {count} images." + _HINT,
    CellScaleSource.USUAL: "as is usual; no image shows a nucleus." + _HINT,
}

USUAL_SCALE = CellScale(CellScaleSource.USUAL, side_um=USUAL_SIDE_UM)
"""The scale if nothing was measured."""


def configured_scale(um_per_pixel: float) -> CellScale:
    """The scale that a person has configured."""
    return CellScale(CellScaleSource.CONFIGURED, um_per_pixel=um_per_pixel)


def spread(items: Sequence[T], count: int = SAMPLE_COUNT) -> list[T]:
    """At most ``count`` of the items, at equal distances from the first to the last, in their order."""
    if len(items) <= count:
        return list(items)
    return [items[round(at)] for at in np.linspace(0, len(items) - 1, count)]


def measure_scale(images: Iterable[Encoded | Pixels]) -> CellScale:
    """The scale of a run of images, by those that ``spread`` chose of it. Images that cannot be read do not count.

    Red cells that lie alone are a ruler, but few images of one cell show enough of them. A guess by red cells in clumps
    is too small in such images, as most are cut; nuclei differ by type. So the two guesses are averaged if both exist.
    """
    found = []
    for image in images:
        with suppress(ImageError):
            found.append(_measure(image))
    one_size = len({each.size for each in found}) == 1
    rulers = [each.ruler_ratio for each in found if each.ruler_ratio is not None]
    guesses = [each.guess_ratio for each in found if each.guess_ratio is not None]
    nuclei = [each.nucleus_ratio for each in found if each.nucleus_ratio is not None]
    if one_size and len(rulers) >= MIN_RULERS_COUNT:
        um_per_pixel = DIAMETER_UM / (float(np.median(rulers)) * min(found[0].size))
        return CellScale(CellScaleSource.RED_CELLS, um_per_pixel=um_per_pixel, measured_count=len(rulers))
    if not nuclei:
        return USUAL_SCALE
    side_um = math.sqrt(USUAL_SIDE_UM * USUAL_NUCLEUS_UM / float(np.median(nuclei)))
    source = CellScaleSource.NUCLEI
    if one_size and len(guesses) >= MIN_RULERS_COUNT:
        side_um = math.sqrt(side_um * DIAMETER_UM / float(np.median(guesses)))
        source = CellScaleSource.RED_CELLS_AND_NUCLEI
    side_um = min(max(side_um, SIDE_RANGE_UM[0]), SIDE_RANGE_UM[1])
    return CellScale(source, side_um=side_um, measured_count=len(nuclei))


def unfit_for_window(height_px: int, width_px: int, window_px: float, side_px: int) -> Reason | None:
    """Why no window of ``window_px`` can be cut out of an image of this size for a network of ``side_px``."""
    few = window_px * MAX_UPSCALING < side_px
    # This also bounds the work, whatever scale was given.
    return Reason.FIELD_TOO_SMALL if few or window_px > MAX_MIRRORED_RATIO * min(height_px, width_px) else None


class _Measured(NamedTuple):
    """Diameters in one image, divided by its shorter side."""

    size: tuple[int, int]
    ruler_ratio: float | None
    guess_ratio: float | None
    nucleus_ratio: float | None


def _measure(image: Encoded | Pixels) -> _Measured:
    """Measure one image. Raises ``ImageError``."""
    if isinstance(image, Pixels):
        rgb = image.array if image.order is ColourOrder.RGB else np.ascontiguousarray(image.array[..., ::-1])
        size = rgb.shape[0], rgb.shape[1]
    else:
        header = read_header(image.data)
        size = header.height_px, header.width_px
        reduction = next((each for each in REDUCTIONS if min(size) // each >= VIEW_PX), 1)
        rgb = decode_image(image.data, reduction=reduction, header=header)
    found = measure_cell_image(rgb)
    side = min(rgb.shape[:2])
    ruler_px, guess_px = found.red_cell_diameter_px, found.red_cell_guess_px
    return _Measured(
        size,
        None if ruler_px is None else ruler_px / side,
        None if guess_px is None else guess_px / side,
        None if found.nucleus is None else 2 * math.sqrt(found.nucleus.area_px / math.pi) / side,
    )
