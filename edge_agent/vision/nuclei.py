"""Judges which stained regions of a field are nuclei, joins lobes, and separates nuclei that touch.

Every limit is relative to the field: to its background (optical density) and to its red cells (stain and size).
The limits were chosen on half of the fields and images with known truth; docs/nuclei.md has the figures of the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.stain import Stain
from edge_agent.vision.touching import Contour, outlines, separate

MIN_DENSITY = 0.2
"""Least ``Stain.nuclear_density`` of a nucleus."""

MIN_PURITY_RATIO = 0.9
MIN_PURE_DENSITY = 0.1
"""For regions that absorb hardly anything but green: least nuclear density as a share of the density in green, and as
such."""

MOST_RATIO = 1.25
MIN_DENSITY_OF_MOST = 0.65
"""Least density where the proposed regions are more than ``MOST_RATIO`` times all other cells. They may well be the red
cells then: on a green or yellow background these look blue, and there is little else to compare them with."""

MIN_HUE_RATIO = -0.06
"""Least surplus of the density in red over that in blue, as a share of that in green. Eosin and haemoglobin let red
pass and absorb blue, so pink red cells lie below this however dark they are."""

MIN_CONTRAST_RATIO = 0.5
"""Least excess of a nucleus's nuclear density over that of red cells, as a share of their density in green."""

MIN_AREA_RATIO = 0.5
"""Least area of a nucleus, in areas of a red cell. Platelets are smaller, with few exceptions."""

CUT_AREA_RATIO = 0.3
"""The same for nuclei that the edge of the field cuts."""

MIN_FIELD_RATIO = 0.0012
"""Least area as a share of the field where the size of red cells is unknown: a disc of 9 px at 224 x 224 px."""

LOBE_MIN_AREA_RATIO = 0.04
LOBE_MAX_AREA_RATIO = 1.0
LOBES_MAX_AREA_RATIO = 3.0
"""In areas of a red cell: the smallest lobe; the largest lobe that is not a nucleus of its own; all lobes of one
nucleus together."""

LOBES_MAX_GAP_RATIO = 0.5
"""Widest gap between two lobes of one nucleus, in diameters of a red cell."""

_MIN_CELL_DENSITY = 0.18
"""Density in green from which on a pixel is no longer background."""

_MIN_REFERENCE_RATIO = 0.01
"""Share of the field that other cells must cover to be a reference."""

_ROWS_STRIDE = 6
"""Every sixth row is enough for the reference."""

_BESIDE = np.ones((1, 7), np.uint8)
"""Pixels this near to a nucleus, along a row, are not used as a reference."""


@dataclass(frozen=True, slots=True, eq=False)
class Nucleus:
    """One nucleus: one region, or the lobes of a segmented one."""

    contours: tuple[Contour, ...]
    """Outlines of its parts as OpenCV gives them, int32 (n, 1, 2) of x and y."""
    area_px: float
    """Area in squares of a pixel's height."""
    left_px: int
    top_px: int
    width_px: int
    height_px: int

    def is_cut(self, field_height_px: int, field_width_px: int) -> bool:
        """Whether it touches the edge of a field of that size, so that only a part of it may be seen."""
        right, bottom = self.left_px + self.width_px, self.top_px + self.height_px
        return self.left_px == 0 or self.top_px == 0 or right == field_width_px or bottom == field_height_px

    @property
    def centre_px(self) -> tuple[float, float]:
        """Centre of its bounding box: x and y."""
        return self.left_px + self.width_px / 2, self.top_px + self.height_px / 2


def find_nuclei(
    stain: Stain,
    proposed: NDArray[np.uint8],
    pixel_aspect: float,
    red_cell_diameter_px: float | None,
    *,
    only_pure: bool = False,
) -> tuple[Nucleus, ...]:
    """The nuclei among the connected regions of ``proposed``, largest first.

    ``proposed`` is a uint8 mask (h, w), 255 where a nucleus may be. ``pixel_aspect`` is width by height of what one
    pixel covers; ``red_cell_diameter_px`` the median diameter of the red cells in heights of a pixel, None if unknown.

    If no region is stained like a nucleus, or with ``only_pure``, regions that absorb hardly anything but green count:
    red cells never do, so these regions may be paler, and may be most of what lies in the field.
    """
    red_cell_area = None if red_cell_diameter_px is None else np.pi / 4 * red_cell_diameter_px**2
    least_area = MIN_FIELD_RATIO * stain.nuclear.size * pixel_aspect
    if red_cell_area is not None:
        least_area = LOBE_MIN_AREA_RATIO * red_cell_area
    large = [contour for contour in outlines(proposed) if contour_area_px(contour) * pixel_aspect >= least_area]
    if not large:
        return ()
    reference, least_density = _reference(stain, proposed)
    found = _densities(stain, proposed, large)
    stained = [] if only_pure else _choose(large, _is_nuclear(found, max(reference, least_density)))
    if not stained:
        least = np.maximum(MIN_PURITY_RATIO * found.green, max(reference, MIN_PURE_DENSITY))
        stained = _choose(large, _is_nuclear(found, least))
    if red_cell_diameter_px is None or red_cell_area is None:
        nuclei = [_nucleus([contour], pixel_aspect) for contour in stained]
    else:
        parts = [part for contour in stained for part in separate(contour, pixel_aspect, red_cell_diameter_px)]
        groups = join_lobes(parts, pixel_aspect, red_cell_diameter_px)
        nuclei = [_nucleus(group, pixel_aspect) for group in groups]
        height, width = stain.nuclear.shape
        nuclei = [
            nucleus
            for nucleus in nuclei
            if nucleus.area_px >= red_cell_area * (CUT_AREA_RATIO if nucleus.is_cut(height, width) else MIN_AREA_RATIO)
        ]
    return tuple(sorted(nuclei, key=lambda nucleus: -nucleus.area_px))


def contour_area_px(contour: Contour) -> float:
    """Pixels in a filled contour, by Pick's theorem, as the contour runs through the outermost pixels' centres."""
    return cv2.contourArea(contour) + len(contour) / 2 + 1


def _nucleus(parts: Sequence[Contour], pixel_aspect: float) -> Nucleus:
    left, top, width, height = cv2.boundingRect(np.concatenate(parts) if len(parts) > 1 else parts[0])
    area = pixel_aspect * sum(contour_area_px(part) for part in parts)
    return Nucleus(tuple(parts), area, left, top, width, height)


def _reference(stain: Stain, proposed: NDArray[np.uint8]) -> tuple[float, float]:
    """The least nuclear density of a nucleus: relative to the other cells, and as such."""
    rgb, near = stain.rgb[::_ROWS_STRIDE], cv2.dilate(proposed[::_ROWS_STRIDE], _BESIDE)
    least_green = stain.level(_MIN_CELL_DENSITY, channel=1)
    background = cv2.threshold(stain.green[::_ROWS_STRIDE], least_green, 255, cv2.THRESH_BINARY)[1]
    others = cv2.bitwise_not(cv2.bitwise_or(near, background))
    others_px = cv2.countNonZero(others)
    proposed_px = cv2.countNonZero(proposed[::_ROWS_STRIDE])
    least = MIN_DENSITY if proposed_px <= MOST_RATIO * others_px else MIN_DENSITY_OF_MOST
    if others_px < _MIN_REFERENCE_RATIO * others.size:
        return 0.0, least
    levels = cv2.mean(rgb, mask=others)
    contrast = MIN_CONTRAST_RATIO * stain.density(levels[1], channel=1)
    return stain.nuclear_density(levels) + contrast, least


class _Densities(NamedTuple):
    """The densities of n regions, float64 (n,) each."""

    red: NDArray[np.float64]
    green: NDArray[np.float64]
    blue: NDArray[np.float64]
    nuclear: NDArray[np.float64]


def _densities(stain: Stain, proposed: NDArray[np.uint8], contours: Sequence[Contour]) -> _Densities:
    levels = np.empty((len(contours), 4))
    for at, contour in enumerate(contours):
        left, top, width, height = cv2.boundingRect(contour)
        box = slice(top, top + height), slice(left, left + width)
        # Other proposed pixels in the box are stained alike; drawing the contour would take as long as all the rest.
        levels[at] = cv2.mean(stain.rgb[box], mask=proposed[box])
    return _Densities(*stain.densities_of(levels[:, :3]))


def _is_nuclear(found: _Densities, least: float | NDArray[np.float64]) -> NDArray[np.bool_]:
    return (found.nuclear >= least) & (found.red - found.blue >= MIN_HUE_RATIO * found.green)


def _choose(contours: Sequence[Contour], chosen: NDArray[np.bool_]) -> list[Contour]:
    return [contour for contour, each in zip(contours, chosen.tolist(), strict=True) if each]


def join_lobes(parts: Sequence[Contour], pixel_aspect: float, red_cell_diameter_px: float) -> list[list[Contour]]:
    """Group parts: lobes that are near each other and together no larger than one nucleus, nearest first."""
    gap = LOBES_MAX_GAP_RATIO * red_cell_diameter_px
    red_cell_area = np.pi / 4 * red_cell_diameter_px**2
    areas = [pixel_aspect * contour_area_px(part) / red_cell_area for part in parts]
    if len(parts) < 2 or min(areas) >= LOBE_MAX_AREA_RATIO:
        return [[part] for part in parts]
    points: dict[int, NDArray[np.float32]] = {}
    pairs = []
    for one, other in _near_boxes(parts, pixel_aspect, gap):
        if min(areas[one], areas[other]) < LOBE_MAX_AREA_RATIO:
            for at in (one, other):
                if at not in points:
                    points[at] = _few_points(parts[at], pixel_aspect)
            distance = _distance(points[one], points[other])
            if distance <= gap:
                pairs.append((distance, one, other))
    group_of = {at: [at] for at in range(len(parts))}
    for _, one, other in sorted(pairs):
        here, there = group_of[one], group_of[other]
        sizes = [sum(areas[at] for at in group) for group in (here, there)]
        if here is not there and min(sizes) < LOBE_MAX_AREA_RATIO and sum(sizes) <= LOBES_MAX_AREA_RATIO:
            here += there
            group_of.update((at, here) for at in there)
    return [[parts[at] for at in group] for first, group in group_of.items() if group[0] == first]


def _few_points(contour: Contour, pixel_aspect: float) -> NDArray[np.float32]:
    """Every third point of an outline, float32 (2, n) of x and y: enough for a distance, in a ninth of the time."""
    points = contour[::3, 0, :].T.astype(np.float32, order="C")
    points[0] *= np.float32(pixel_aspect)
    return points


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Least distance of a point in float32 (2, n) from one in (2, m)."""
    across, down = np.subtract.outer(one[0], other[0]), np.subtract.outer(one[1], other[1])
    across *= across
    down *= down
    across += down
    return math.sqrt(across.min())


def _near_boxes(parts: Sequence[Contour], pixel_aspect: float, gap: float) -> Iterator[tuple[int, int]]:
    """Pairs of contours, the lower index first, whose bounding boxes are no farther apart than ``gap`` in x and y."""
    boxes: list[tuple[float, float, int, int, int]] = []
    for at, part in enumerate(parts):
        left, top, width, height = cv2.boundingRect(part)
        boxes.append((left * pixel_aspect, (left + width) * pixel_aspect, top, top + height, at))
    # From left to right, so that each box is compared only with those that begin before it ends.
    boxes.sort()
    for number, (_, right, top, bottom, one) in enumerate(boxes, start=1):
        for other_left, _, other_top, other_bottom, other in islice(boxes, number, None):
            if other_left - right > gap:
                break
            if other_top - bottom <= gap and top - other_bottom <= gap:
                yield min(one, other), max(one, other)
