"""Pictures of things that are no nucleated cells, as a device would be shown them. They are never used for fitting."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.image_files import IMAGE_SUFFIXES
from edge_agent.errors import ImageError
from edge_agent.vision.cell_windows import cut_window
from edge_agent.vision.cells import CELL_WINDOW_UM, find_cells
from edge_agent.vision.decode import decode_image
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER
from edge_agent.vision.red_cells import DIAMETER_UM
from trainer.errors import DataError

Array = NDArray[np.uint8]

WHITE_CELL, RED_CELL, PLATELET = "wbc", "rbc", "platelet"
"""Kinds of boxes."""

BACKGROUND = "place without a nucleus"

PICTURE_UM = 36.0
"""Side of a picture, as in data sets of single cells: the window takes two thirds of it."""

RED_CELLS_COUNT = 4
PLACES_COUNT = 12
"""Most red cells and places that are taken from one field."""

_PICTURE_PX = 168
_AWAY_UM = (PICTURE_UM + CELL_WINDOW_UM) / 4
"""An object nearer than this to a white cell has that cell in the middle of its picture."""

_CLEAR_UM = 4.0
_CORNERS = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")
_TRIES = 200


@dataclass(frozen=True, slots=True, eq=False)
class ForeignPicture:
    """A picture with something foreign in its middle."""

    kind: str
    rgb: Array
    """uint8 (h, w, 3)."""
    um_per_pixel: float


@dataclass(frozen=True, slots=True)
class Box:
    """Something in a field that a person marked."""

    kind: str
    left_px: float
    top_px: float
    right_px: float
    bottom_px: float

    @property
    def centre_px(self) -> tuple[float, float]:
        """X and y of the centre."""
        return (self.left_px + self.right_px) / 2, (self.top_px + self.bottom_px) / 2

    def holds(self, x_px: float, y_px: float) -> bool:
        """Whether a point lies in the box."""
        return self.left_px <= x_px <= self.right_px and self.top_px <= y_px <= self.bottom_px


def read_boxes(table: Path) -> dict[Path, tuple[Box, ...]]:
    """The boxes of each field that a CSV lists with path, kind and x_min_px, y_min_px, x_max_px, y_max_px.

    Paths are relative to the CSV. Raises ``DataError``.
    """
    found: dict[Path, list[Box]] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(table.parent / row["path"], []).append(_box(row))
    except OSError as error:
        raise DataError(f"{table} cannot be read ({error.strerror}).", remedy="Check --boxes.") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"{table} is not a table of boxes: {error}.",
            remedy="Give the columns path, kind, x_min_px, y_min_px, x_max_px and y_max_px.",
        ) from error
    return {path: tuple(boxes) for path, boxes in found.items()}


def _box(row: Mapping[str, str]) -> Box:
    left, top, right, bottom = (float(row[name]) for name in _CORNERS)
    if not (-math.inf < left < right < math.inf and -math.inf < top < bottom < math.inf):
        raise ValueError(f"a box of {row['path']} has no area")
    return Box(row["kind"], left, top, right, bottom)


def pictures_of_boxes(rgb: Array, boxes: Sequence[Box], rng: np.random.Generator) -> Iterator[ForeignPicture]:
    """Pictures of all platelets and some red cells of a uint8 RGB field (h, w, 3) that have no white cell near them.

    The scale is that of the red cells, so a field without red cells has no pictures. Raises ``DataError`` for a box
    whose middle is outside the field.
    """
    height, width = rgb.shape[:2]
    for x_px, y_px in (each.centre_px for each in boxes):
        if not (0 <= x_px < width and 0 <= y_px < height):
            raise DataError(
                f"a box has its middle at ({x_px:g}, {y_px:g}), outside its picture of {width} x {height} px.",
                remedy="Give boxes in pixels of these very pictures.",
            )
    of_kind = {kind: [each for each in boxes if each.kind == kind] for kind in (WHITE_CELL, RED_CELL, PLATELET)}
    if not of_kind[RED_CELL]:
        return
    # A box is as long as its content, and the boxes of overlapping red cells are shorter.
    lengths = [max(each.right_px - each.left_px, each.bottom_px - each.top_px) for each in of_kind[RED_CELL]]
    um_per_pixel = DIAMETER_UM / float(np.median(lengths))
    some = [of_kind[RED_CELL][at] for at in rng.permutation(len(lengths))[:RED_CELLS_COUNT]]
    away_px = _AWAY_UM / um_per_pixel
    for box in (*of_kind[PLATELET], *some):
        if not any(_widened(each, away_px).holds(*box.centre_px) for each in of_kind[WHITE_CELL]):
            yield _picture(box.kind, rgb, box.centre_px, um_per_pixel)


def pictures_of_places(rgb: Array, rng: np.random.Generator) -> Iterator[ForeignPicture]:
    """Pictures of random places of a uint8 RGB field (h, w, 3) that have no nucleus near them.

    A field whose red cells show no scale has no pictures.
    """
    cells = find_cells(SEGMENTATION_DENOISER(rgb))
    diameter_px = cells.red_cells.diameter_px or cells.red_cells.guess_px
    if diameter_px is None:
        return
    um_per_pixel = DIAMETER_UM / diameter_px
    height, width = rgb.shape[:2]
    reach_px = round((_AWAY_UM if cells.segmentation.nuclei else _CLEAR_UM) / um_per_pixel)
    count = 0
    for _ in range(_TRIES):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        near = cells.segmentation.mask[max(0, y - reach_px) : y + reach_px, max(0, x - reach_px) : x + reach_px]
        if near.any():
            continue
        yield _picture(BACKGROUND, rgb, (x, y), um_per_pixel)
        count += 1
        if count == PLACES_COUNT:
            return


def images_of(folder: Path) -> list[Path]:
    """The images in a folder, in the order of their names. Raises ``DataError`` if there is none."""
    found = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise DataError(f"{folder} has no images.", remedy="Check --fields.")
    return found


def read_picture(path: Path) -> Array:
    """An image as uint8 RGB (h, w, 3). Raises ``DataError``."""
    try:
        return decode_image(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", remedy="Check the data folder.") from error
    except ImageError as error:
        raise DataError(f"{path} is no picture: {error.message}", remedy="Take it out of the folder.") from error


def _picture(kind: str, rgb: Array, centre_px: tuple[float, float], um_per_pixel: float) -> ForeignPicture:
    size_px = PICTURE_UM / um_per_pixel
    return ForeignPicture(kind, cut_window(rgb, centre_px, (size_px, size_px), _PICTURE_PX), PICTURE_UM / _PICTURE_PX)


def _widened(box: Box, by_px: float) -> Box:
    return Box(box.kind, box.left_px - by_px, box.top_px - by_px, box.right_px + by_px, box.bottom_px + by_px)
