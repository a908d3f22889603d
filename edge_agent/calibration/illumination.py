"""Measures the light of a frame where nothing covers it: its exposure, its colour and its evenness."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BackgroundMissing

MAX_PX = 320 * 240
"""The light changes slowly over a frame, so that few pixels suffice."""

MIN_SIDE_PX = 64
MIN_BACKGROUND_PCT = 5.0
"""Share of the frame that must be free of cells. In a packed frame the brightest parts are cells too."""

_GRID = 8
_MIN_TILES = 16
"""Tiles of 64 that must show some background, at least one of them in each quarter, to know the light everywhere."""

_CLIPPED_LEVEL = 253
"""From this level on a channel counts as clipped: JPEG leaves white slightly below 255."""

_TOLERANCE = 0.07
"""Background is within this share of the smooth light."""

_MIN_ISLAND_PCT = 0.4
"""Least share of the frame that a piece of background covers: the pale middle of a red cell is smaller."""

_ROUNDS = 8

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Illumination:
    """The light of the background. Levels are shares of the largest level, in percent."""

    background_pct: float
    """Share of the frame that is background."""
    red_pct: float
    green_pct: float
    blue_pct: float
    """Median level of each channel."""
    clipped_pct: float
    """Share of the brightest part of the background in which a channel is clipped."""
    a_star: float
    b_star: float
    """Median colour in CIE LAB, 0 for grey."""
    falloff_pct: float
    """How much darker the darkest corner is than the brightest part."""
    centre_offset_pct: float
    """Distance of the brightest point from the centre, as a share of half the diagonal."""

    @property
    def level_pct(self) -> float:
        """Level of the brightest channel."""
        return max(self.red_pct, self.green_pct, self.blue_pct)


def measure_illumination(rgb: NDArray[np.uint8]) -> Illumination:
    """Measure the background of a uint8 RGB (h, w, 3) frame.

    A smooth surface (one polynomial of second order for each frame) is fitted to the brightest pixels of the green
    channel, in which blood is dark, and refitted to the pixels that lie close to it. Raises ``BackgroundMissing`` if
    too little of the frame is background, or only one part of it has any.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        raise BackgroundMissing(
            f"The picture has only {width} x {height} px.", remedy="Use the camera's full resolution."
        )
    scale = min(1.0, (MAX_PX / (height * width)) ** 0.5)
    size = max(MIN_SIDE_PX // 2, round(width * scale)), max(MIN_SIDE_PX // 2, round(height * scale))
    small = rgb if scale == 1.0 else np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    green = cv2.GaussianBlur(small[..., 1], (0, 0), 1.0).astype(np.float32)
    terms = _terms(*green.shape)
    light, mask = _fit_background(green, terms)
    _require_everywhere(mask)
    levels = small[mask]
    lab = np.asarray(cv2.cvtColor(levels[None].astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB))[0]
    red, green_level, blue = (100 * float(level) / 255 for level in np.median(levels, axis=0))
    brightest = small[mask & (light >= np.quantile(light[mask], 0.75))]
    top = int(light.argmax())
    row, column = divmod(top, light.shape[1])
    offset = np.hypot(row / (light.shape[0] - 1) - 0.5, column / (light.shape[1] - 1) - 0.5) / np.hypot(0.5, 0.5)
    return Illumination(
        background_pct=100 * float(mask.mean()),
        red_pct=red,
        green_pct=green_level,
        blue_pct=blue,
        clipped_pct=100 * float((brightest >= _CLIPPED_LEVEL).any(axis=1).mean()),
        a_star=float(np.median(lab[:, 1])),
        b_star=float(np.median(lab[:, 2])),
        falloff_pct=100 * (1 - float(light.min() / light.max())),
        centre_offset_pct=100 * float(offset),
    )


def _terms(height: int, width: int) -> NDArray[np.float32]:
    """The terms of a polynomial of second order over the frame, shape (h, w, 6)."""
    y, x = np.meshgrid(
        np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32), indexing="ij"
    )
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _fit_background(green: Plane, terms: NDArray[np.float32]) -> tuple[Plane, NDArray[np.bool_]]:
    """The light without cells, and a mask of the pixels without cells."""
    # Bright, or as bright as the surroundings get: the corners may be darker than a cell in the centre.
    chosen = np.zeros(green.shape, np.bool_)
    for rows in np.array_split(np.arange(green.shape[0]), _GRID // 2):
        for columns in np.array_split(np.arange(green.shape[1]), _GRID // 2):
            tile = np.ix_(rows, columns)
            chosen[tile] = green[tile] >= np.quantile(green[tile], 0.85)
    light = green
    for _ in range(_ROUNDS):
        coefficients = np.linalg.lstsq(terms[chosen], green[chosen], rcond=None)[0]
        light = np.maximum(np.asarray(terms @ coefficients, dtype=np.float32), 1.0)
        # The limit is closer from below than from above: cells and their edges are darker, and nothing is brighter.
        relative = green / light - 1
        now = (relative > -_TOLERANCE) & (relative < 1.5 * _TOLERANCE)
        if now.sum() < terms.shape[-1] * 10 or np.array_equal(now, chosen):
            break
        chosen = now
    return light, _without_islands(chosen)


def _without_islands(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # The edge of a cell passes through the light's level, but is not background.
    eroded = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(eroded, connectivity=4)
    large = stats[:count, cv2.CC_STAT_AREA] >= _MIN_ISLAND_PCT / 100 * mask.size
    large[0] = False
    return np.asarray(large[labels], dtype=np.bool_)


def _require_everywhere(mask: NDArray[np.bool_]) -> None:
    share_pct = 100 * float(mask.mean())
    shown = np.array(
        [
            [part.mean() >= 0.02 for part in np.array_split(rows, _GRID, axis=1)]
            for rows in np.array_split(mask, _GRID, axis=0)
        ]
    )
    half = _GRID // 2
    quarters = (shown[:half, :half], shown[:half, half:], shown[half:, :half], shown[half:, half:])
    if share_pct < MIN_BACKGROUND_PCT:
        raise BackgroundMissing(f"Only {share_pct:.0f} % of the picture is free of cells.")
    if shown.sum() < _MIN_TILES or not all(quarter.any() for quarter in quarters):
        raise BackgroundMissing("Only a part of the picture is free of cells.")
