"""Optical density of a field, and how much of it is the stain of nuclei.

By the law of Beer and Lambert the optical density of a stained cell is proportional to the amount of stain, if it is
taken relative to the light that passes beside the cell (A. C. Ruifrok and D. A. Johnston, "Quantification of
histochemical staining by color deconvolution", 2001). So the colour of lamp, glass and camera cancels out.

Azure B colours nuclei blue to purple: they absorb green and let blue pass. Haemoglobin and eosin absorb both, and let
red pass. So a nucleus is marked, in Wright, Giemsa, Leishman and May-Gruenwald stains alike, by the excess of density
in green over that in blue, less any excess of density in blue over that in red.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.colour import LEVELS, level_histogram

Plane = NDArray[np.uint8]

ABSORBED_LEVELS = 64
"""Levels in which absorbed light is counted: few, because the time of k-means grows with their square."""

EOSIN_MARGIN = 0.15
EOSIN_WEIGHT = 4
"""Beyond an excess of ``EOSIN_MARGIN`` of density in blue over that in red, each unit lowers nuclear density by this
many. The margin is for cameras whose blue channel is poor."""

DENSITY_LEVELS = 80.0
"""Levels per unit of optical density (natural logarithm); 255 levels are a density of 3.2."""

_BACKGROUND_RATIO = 0.875
"""The median of the brightest quarter, which is background unless the smear is packed with cells."""

_STRIDE_PX = 8
"""Every eighth pixel in each direction is enough for the background."""


@dataclass(frozen=True, slots=True, eq=False)
class Stain:
    """The light that a field's cells absorb."""

    rgb: NDArray[np.uint8]
    """The denoised field, uint8 RGB (h, w, 3)."""
    green: Plane
    """The field's green channel, uint8 (h, w)."""
    background: tuple[int, int, int]
    """The background's levels of red, green and blue."""
    nuclear: Plane
    """Nuclear density times ``DENSITY_LEVELS``, 0 where it is negative; uint8 (h, w)."""

    def density(self, level: float, channel: int) -> float:
        """Optical density (natural logarithm, relative to the background) of a level of one of the channels."""
        return math.log((self.background[channel] + 1.0) / (level + 1.0))

    def densities(self, levels: Sequence[float]) -> tuple[float, float, float]:
        """Optical densities of levels of red, green and blue."""
        return self.density(levels[0], 0), self.density(levels[1], 1), self.density(levels[2], 2)

    def level(self, density: float, channel: int) -> float:
        """The level of a channel with this optical density: the inverse of ``density``."""
        return (self.background[channel] + 1.0) * math.exp(-density) - 1.0

    def nuclear_density(self, levels: Sequence[float]) -> float:
        """Density that marks a nucleus, of levels of red, green and blue; negative for other stains."""
        red, green, blue = self.densities(levels)
        return green - blue - EOSIN_WEIGHT * max(0.0, blue - red - EOSIN_MARGIN)

    def densities_of(self, levels: NDArray[np.floating]) -> NDArray[np.float64]:
        """Densities in red, green and blue, and nuclear density, of n colours: float64 (4, n) of levels (n, 3)."""
        red, green, blue = np.log((np.array(self.background) + 1.0) / (levels + 1.0)).T
        nuclear = green - blue - EOSIN_WEIGHT * np.maximum(0.0, blue - red - EOSIN_MARGIN)
        return np.array([red, green, blue, nuclear])

    def absorbed_histogram(self) -> NDArray[np.int64]:
        """Histogram of the light that pixels absorb by nuclear density: int64 (256,).

        The levels run from 0 (nothing) to ``ABSORBED_LEVELS`` - 1 (all); ``absorbed_level`` maps densities to them.
        Every other row is counted.
        """
        histogram: NDArray[np.int64] = absorbed_histograms(self.nuclear[None])[0]
        return histogram


def absorbed_histograms(nuclear: Plane) -> NDArray[np.int64]:
    """``Stain.absorbed_histogram`` of each of n planes of nuclear density, uint8 (n, h, w): int64 (n, 256)."""
    counts = np.zeros((len(nuclear), LEVELS), np.int64)
    levels = np.stack([level_histogram(each[::2]) for each in nuclear])
    np.add.reduceat(levels, _FIRST_OF_ABSORBED, axis=1, out=counts[:, : _FIRST_OF_ABSORBED.size])
    return counts


def density_of(absorbed: float) -> float:
    """Nuclear density that absorbs this much light: 0 (nothing) to ``ABSORBED_LEVELS`` - 1 (all)."""
    return -math.log(1.0 - absorbed / ABSORBED_LEVELS)


def measure_stain(rgb: NDArray[np.uint8]) -> Stain:
    """Measure the stain of a denoised uint8 RGB field (h, w, 3)."""
    # A stable sort of bytes counts them, which is faster.
    sample = np.sort(rgb[::_STRIDE_PX, ::_STRIDE_PX].reshape(-1, 3), axis=0, kind="stable")
    red, green, blue = sample[int(_BACKGROUND_RATIO * len(sample))].tolist()
    red_plane, green_plane, blue_plane = cv2.split(rgb)
    in_blue = cv2.LUT(blue_plane, _DENSITY_OF[blue])
    nuclear = _nuclear(cv2.LUT(red_plane, _RAISED_DENSITY_OF[red]), cv2.LUT(green_plane, _DENSITY_OF[green]), in_blue)
    return Stain(rgb, np.asarray(green_plane, dtype=np.uint8), (red, green, blue), nuclear)


def measure_stains(windows: NDArray[np.uint8]) -> tuple[list[tuple[int, int, int]], Plane]:
    """Background and nuclear density, as in ``Stain``, of each of n windows, uint8 RGB (n, h, w, 3); (n, h, w).

    For windows as small as those of cells, the overhead of OpenCV's and numpy's calls takes longer than the work.
    """
    count, height, width, _ = windows.shape
    sample = windows[:, ::_STRIDE_PX, ::_STRIDE_PX].reshape(count, -1, 3)
    sample = np.sort(sample, axis=1, kind="stable")[:, int(_BACKGROUND_RATIO * sample.shape[1])]
    backgrounds: list[tuple[int, int, int]] = [(int(red), int(green), int(blue)) for red, green, blue in sample]
    planes = [plane.reshape(count, height, width) for plane in cv2.split(windows.reshape(count * height, width, 3))]
    for at, (red, green, blue) in enumerate(backgrounds):
        for plane, table in zip(planes, (_RAISED_DENSITY_OF[red], _DENSITY_OF[green], _DENSITY_OF[blue]), strict=True):
            cv2.LUT(plane[at], table, dst=plane[at])
    in_red, in_green, in_blue = (plane.reshape(count * height, width) for plane in planes)
    return backgrounds, _nuclear(in_red, in_green, in_blue).reshape(count, height, width)


def _nuclear(in_red: cv2.typing.MatLike, in_green: cv2.typing.MatLike, in_blue: cv2.typing.MatLike) -> Plane:
    """Nuclear density from the densities in each channel, red raised by the margin; all uint8 (h, w)."""
    eosin = cv2.subtract(in_blue, in_red)
    for _ in range(_EOSIN_DOUBLINGS):
        cv2.add(eosin, eosin, dst=eosin)
    nuclear = cv2.subtract(in_green, in_blue)
    return np.asarray(cv2.subtract(nuclear, eosin, dst=nuclear), np.uint8)


def _density_tables(raised_by: float) -> NDArray[np.uint8]:
    """Density level by background level and level; uint8 (256, 256). 1 is added to both, so that black has one too."""
    levels = np.arange(LEVELS) + 1.0
    density = DENSITY_LEVELS * (np.log(levels[:, None] / levels) + raised_by)
    return np.clip(np.rint(density), 0, LEVELS - 1).astype(np.uint8)


_DENSITY_OF = _density_tables(0.0)
_RAISED_DENSITY_OF = _density_tables(EOSIN_MARGIN)
_EOSIN_DOUBLINGS = round(math.log2(EOSIN_WEIGHT))

absorbed_level = np.rint((ABSORBED_LEVELS - 1) * (1 - np.exp(-np.arange(LEVELS) / DENSITY_LEVELS))).astype(np.intp)
"""How much of the light a level of ``Stain.nuclear`` absorbs, int (256,)."""

_FIRST_OF_ABSORBED = np.flatnonzero(np.diff(absorbed_level, prepend=-1))
"""The first level of ``Stain.nuclear`` that absorbs each amount; no amount from 0 to the most is missing."""
