"""Separates nuclei that touch, by the discs inscribed in them.

The distance transform of a region has a peak in each of its nuclei (as the common watershed on it uses). Each peak is
the centre of an inscribed disc, and the border between two discs is where their powers are equal: the line through the
points in which their circles meet (F. Aurenhammer, "Power diagrams", 1987).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Contour: TypeAlias = NDArray[np.int32]
"""An outline as OpenCV gives it: (n, 1, 2) of x and y."""

MIN_RADIUS_RATIO = 0.95
"""Least radius of a nucleus' disc, in radii of a red cell: the nucleus of a small lymphocyte is about as large as a red
cell. Lobes of a segmented nucleus are smaller."""

MAX_NECK_RATIO = 0.75
"""Widest neck between two nuclei, as a share of the smaller one's disc."""

MIN_DISC_RATIO = 0.55
"""Least share of a nucleus that its disc covers. Halves of a bent nucleus are long and thin."""

_OVERLAP_RATIO = 0.8
_CONVEX_RATIO = 0.96
"""Of two equal discs that meet in a neck as wide as allowed, the union covers 0.89 of both, and 0.96 of its convex
hull."""

_MARGIN_PX = 1
_BESIDE = np.ones((3, 3), np.uint8)


def separate(contour: Contour, pixel_aspect: float, red_cell_diameter_px: float) -> list[Contour]:
    """The outlines of the nuclei in one region, int32 (n, 1, 2) of x and y; the region's own if it is one nucleus.

    ``pixel_aspect`` is width by height of what one pixel covers; ``red_cell_diameter_px`` the median diameter of the
    red cells in heights of a pixel.
    """
    least = MIN_RADIUS_RATIO * red_cell_diameter_px / 2
    left, top, width, height = cv2.boundingRect(contour)
    if _is_single(contour, width * pixel_aspect, height, pixel_aspect, least):
        return [contour]
    region = np.zeros((height + 2 * _MARGIN_PX, width + 2 * _MARGIN_PX), np.uint8)
    cv2.drawContours(region, [contour], 0, 255, cv2.FILLED, offset=(_MARGIN_PX - left, _MARGIN_PX - top))
    shares = _shares(_scaled(region, pixel_aspect), least)
    if shares is None:
        return [contour]
    offset = (left - _MARGIN_PX, top - _MARGIN_PX)
    parts = []
    for share in shares:
        fitted = (
            share if pixel_aspect == 1.0 else cv2.resize(share, region.shape[::-1], interpolation=cv2.INTER_NEAREST)
        )
        found = outlines(np.asarray(cv2.bitwise_and(fitted, region), dtype=np.uint8), offset)
        parts += [max(found, key=len)] if found else []
    return parts


def outlines(mask: NDArray[np.uint8], offset: tuple[int, int] = (0, 0)) -> list[Contour]:
    """The outer contours of a uint8 mask (h, w), moved by ``offset`` in x and y."""
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=offset)
    return [np.asarray(contour, dtype=np.int32) for contour in found]


def _scaled(region: NDArray[np.uint8], pixel_aspect: float) -> NDArray[np.uint8]:
    """A uint8 region (h, w) with square pixels."""
    if pixel_aspect == 1.0:
        return region
    return np.asarray(cv2.resize(region, None, fx=pixel_aspect, fy=1.0, interpolation=cv2.INTER_NEAREST), np.uint8)


def _is_single(contour: Contour, width: float, height: float, pixel_aspect: float, min_radius_px: float) -> bool:
    """Whether a region is too small for two nuclei or has no waist: a quick first check."""
    area = cv2.contourArea(contour)
    if min(width, height) < 2 * min_radius_px or area * pixel_aspect < 2 * np.pi * min_radius_px**2 * _OVERLAP_RATIO:
        return True
    return area >= _CONVEX_RATIO * cv2.contourArea(cv2.convexHull(contour))


def _shares(region: NDArray[np.uint8], min_radius_px: float) -> list[NDArray[np.uint8]] | None:
    """The area nearest to each disc, in a uint8 region (h, w) and around it, as masks of that size.

    None if all of the region is one nucleus.
    """
    distance = np.asarray(cv2.distanceTransform(region, cv2.DIST_L2, 5), dtype=np.float32)
    largest_px = float(distance.max())
    beside_largest = cv2.countNonZero(region) - np.pi * largest_px**2
    if largest_px < min_radius_px or beside_largest < np.pi * min_radius_px**2 * _OVERLAP_RATIO:
        return None
    discs = _separate_discs(distance, min_radius_px)
    if len(discs) < 2:
        return None
    shares = []
    for share, (_, _, radius) in zip(_by_power(region.shape, discs), discs, strict=True):
        if np.pi * radius**2 < MIN_DISC_RATIO * cv2.countNonZero(cv2.bitwise_and(share, region)):
            return None
        shares.append(share)
    return shares


def _by_power(shape: tuple[int, ...], discs: Sequence[tuple[float, float, float]]) -> Iterator[NDArray[np.uint8]]:
    """The pixels whose power is least to each disc, as uint8 masks of ``shape`` (h, w), 255 on them."""
    x, y = np.arange(shape[1], dtype=np.float64), np.arange(shape[0], dtype=np.float64)
    # Without x * x + y * y, which all powers contain, it is a plane.
    powers = [np.add.outer(cx * cx + cy * cy - r * r - 2 * cy * y, -2 * cx * x) for cx, cy, r in discs]
    least = powers[0]
    for power in powers[1:]:
        least = np.minimum(least, power)
    left = np.full(shape, 255, np.uint8)
    for power in powers[:-1]:
        # A pixel with the least power to two discs belongs to the first.
        share = np.asarray(cv2.bitwise_and(left, cv2.compare(power, least, cv2.CMP_LE)), dtype=np.uint8)
        left = np.asarray(cv2.subtract(left, share), dtype=np.uint8)
        yield share
    yield left


def _separate_discs(distance: NDArray[np.float32], min_radius_px: float) -> list[tuple[float, float, float]]:
    """Centre x, centre y and radius of the peaks with a narrow neck to each larger one; none if there is only one."""
    size = max(3, int(min_radius_px) | 1)
    around = cv2.dilate(distance, cv2.getStructuringElement(cv2.MORPH_RECT, (size, size)))
    summits = (distance >= around) & (distance >= min_radius_px)
    peaks = cv2.dilate(summits.view(np.uint8), _BESIDE)
    if len(cv2.findContours(peaks, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]) == 1:
        # A region with one peak, as most have, is one nucleus. Labelling takes more time than all steps before.
        return []
    _, labels, boxes, centres = cv2.connectedComponentsWithStats(peaks, ltype=cv2.CV_16U)
    found = []
    for at in range(1, len(boxes)):
        left, top, width, height, _ = boxes[at].tolist()
        box = slice(top, top + height), slice(left, left + width)
        _, radius, _, _ = cv2.minMaxLoc(distance[box], (labels[box] == at).view(np.uint8))
        found.append((float(centres[at, 0]), float(centres[at, 1]), radius))
    discs: list[tuple[float, float, float]] = []
    for disc in sorted(found, key=lambda each: -each[2]):
        if all(_have_neck(distance, disc, other, MAX_NECK_RATIO * disc[2]) for other in discs):
            discs.append(disc)
    return discs


def _have_neck(
    distance: NDArray[np.float32],
    one: tuple[float, float, float],
    other: tuple[float, float, float],
    max_radius_px: float,
) -> bool:
    """Whether the straight line between two peaks comes this near to the outside."""
    steps = max(2, int(math.hypot(one[0] - other[0], one[1] - other[1])))
    # A neck is about half-way, so that few points have to be checked.
    middle = steps // 2
    for step in (*range(middle, steps), *range(middle)):
        way = step / (steps - 1)
        x, y = (round(one[at] + (other[at] - one[at]) * way) for at in (0, 1))
        if distance.item(y, x) <= max_radius_px:
            return True
    return False
