"""The cells of a drawn smear: the look of each label, and how each kind is drawn.

All functions draw into an optical density: float32 (height, width, 3), 0 where all light passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

REFERENCE_AREA_UM2 = 10_000.0
"""Numbers of cells are given per this area."""

_RED_CELL_RADIUS_UM = 3.7
_RED_CELL_VARIANTS = 12
_RED_CELL_SPACING_UM = 7.6
_WAVES = (2, 3, 5)
"""Number of waves around an outline."""


@dataclass(frozen=True, slots=True)
class Nucleus:
    """Position of a drawn nucleus. ``radius_px`` is that of the circle of the same area, before outline noise."""

    x_px: float
    y_px: float
    radius_px: float


@dataclass(frozen=True, slots=True)
class Look:
    """The look of the white cells of a label. Ranges are sampled uniformly."""

    radius_um: tuple[float, float]
    count: tuple[float, float]
    """Nuclei per ``REFERENCE_AREA_UM2``."""
    stain: tuple[float, float, float]
    """Share of red, green and blue light that passes the nucleus."""
    lobes: float
    """Depth of the outline's waves as a share of the radius."""
    stretch: float
    """Largest ratio of the longest to the shortest axis, minus one."""
    grain_um: float
    """Size of the chromatin's clumps."""
    grain_depth: float
    """Standard deviation of the stain's strength."""
    rim: tuple[float, float]
    """Width of the cytoplasm around the nucleus as a share of its radius."""
    crowding: float
    """Chance that a cell lies against the one before."""


LOOKS = MappingProxyType(
    {
        "benign": Look((3.4, 6.2), (3, 8), (0.34, 0.18, 0.72), 0.06, 0.25, 0.9, 0.10, (0.15, 0.45), 0.25),
        "early-pre-b": Look((5.4, 7.4), (5, 12), (0.46, 0.30, 0.80), 0.14, 0.30, 1.6, 0.20, (0.0, 0.1), 0.45),
        "pre-b": Look((6.0, 8.4), (7, 16), (0.50, 0.42, 0.84), 0.03, 0.12, 0.7, 0.08, (0.05, 0.15), 0.25),
        "pro-b": Look((4.8, 6.4), (3, 8), (0.80, 0.48, 0.86), 0.03, 0.35, 1.0, 0.06, (0.0, 0.08), 0.1),
    }
)


def stain_density(
    rng: np.random.Generator, transmittance: tuple[float, float, float], spread: float
) -> NDArray[np.float32]:
    """The optical density of a stain, which varies from slide to slide."""
    strength = rng.normal(1.0, spread)
    channels = rng.normal(1.0, spread / 2, 3)
    return (-np.log(transmittance) * strength * channels).astype(np.float32)


def draw_red_cells(
    rng: np.random.Generator, density: NDArray[np.float32], nuclei: list[Nucleus], um_per_pixel: float
) -> None:
    """Draw red cells on a jittered lattice, in varying numbers, none on a white cell."""
    radius = _RED_CELL_RADIUS_UM / um_per_pixel
    pallor = rng.uniform(0.15, 0.75)
    stamps = [_red_cell(rng, radius, pallor) for _ in range(_RED_CELL_VARIANTS)]
    half = stamps[0].shape[0] // 2
    height, width = density.shape[:2]
    blocked = np.zeros((height, width), np.uint8)
    for nucleus in nuclei:
        centre = round(nucleus.x_px), round(nucleus.y_px)
        cv2.circle(blocked, centre, round(1.1 * nucleus.radius_px + 0.7 * radius), (255,), cv2.FILLED)
    spacing = _RED_CELL_SPACING_UM / um_per_pixel
    ys, xs = np.mgrid[half : height - half : spacing, half : width - half : spacing]
    ys = (ys + rng.normal(0, 0.35 * spacing, ys.shape)).round().astype(int).ravel()
    xs = (xs + rng.normal(0, 0.35 * spacing, xs.shape)).round().astype(int).ravel()
    kept = rng.random(ys.size) < rng.uniform(0.3, 0.8)
    kept &= (ys >= half) & (ys < height - half) & (xs >= half) & (xs < width - half)
    ys, xs = ys[kept], xs[kept]
    free = blocked[ys, xs] == 0
    layer = np.zeros((height, width), np.float32)
    variants = rng.integers(0, len(stamps), ys.size)
    for y, x, variant in zip(ys[free].tolist(), xs[free].tolist(), variants[free].tolist(), strict=True):
        layer[y - half : y + half + 1, x - half : x + half + 1] += stamps[variant]
    stain = stain_density(rng, (0.66, 0.68, 0.74), 0.2)
    for channel, strength in enumerate(stain):
        density[..., channel] += layer * strength


def _red_cell(rng: np.random.Generator, radius: float, pallor: float) -> NDArray[np.float32]:
    """Relative thickness of one red cell, thinner in the middle. Square of odd side."""
    half = math.ceil(1.35 * radius) + 1
    distance = _outline(rng, half, (0.0, 0.0), radius * rng.uniform(0.88, 1.12), lobes=0.03, stretch=0.22)
    depth = np.clip(distance / 1.5 + 0.5, 0, 1)
    hollow = np.exp(-(((distance - radius) / (0.52 * radius)) ** 2))
    return np.asarray(depth * (1 - pallor * rng.uniform(0.6, 1.1) * hollow), np.float32)


def _outline(
    rng: np.random.Generator,
    half: int,
    offset: tuple[float, float],
    radius: float,
    *,
    lobes: float,
    stretch: float,
) -> NDArray[np.float32]:
    """Signed distance to a wavy ellipse, positive inside, in pixels: float32 of side ``2 * half + 1``."""
    axis = np.arange(-half, half + 1, dtype=np.float32)
    dx = axis[None, :] - np.float32(offset[0])
    dy = axis[:, None] - np.float32(offset[1])
    turn, ratio = rng.uniform(0, math.pi), math.sqrt(1 + rng.uniform(0, stretch))
    u = (dx * math.cos(turn) + dy * math.sin(turn)) / ratio
    v = (dy * math.cos(turn) - dx * math.sin(turn)) * ratio
    angle = np.arctan2(v, u)
    edge = np.ones_like(angle)
    for waves in _WAVES:
        depth = rng.uniform(-2, 2) * lobes / waves
        edge += np.float32(depth) * np.cos(waves * angle + np.float32(rng.uniform(0, 2 * math.pi)))
    return np.asarray(radius * edge - np.hypot(u, v), np.float32)


def reach_ratio(look: Look) -> float:
    """The largest distance of a nucleus's outline from its centre, as a share of its radius."""
    return math.sqrt(1 + look.stretch) * (1 + sum(2 * look.lobes / waves for waves in _WAVES))


def draw_white_cell(
    rng: np.random.Generator,
    density: NDArray[np.float32],
    nucleus: Nucleus,
    look: Look,
    stain: NDArray[np.float32],
    um_per_pixel: float,
) -> None:
    """Draw the cytoplasm, then the nucleus with its chromatin, over everything drawn so far."""
    rim = rng.uniform(*look.rim) * nucleus.radius_px
    half = math.ceil(reach_ratio(look) * nucleus.radius_px + rim) + 2
    column, row = round(nucleus.x_px), round(nucleus.y_px)
    offset = nucleus.x_px - column, nucleus.y_px - row
    inside = _outline(rng, half, offset, nucleus.radius_px, lobes=look.lobes, stretch=look.stretch)
    cytoplasm = np.clip((inside + rim) / 2 + 0.5, 0, 1)[..., None]
    solid = np.clip(inside / 1.2 + 0.5, 0, 1)[..., None]
    grain = rng.standard_normal(inside.shape, np.float32)
    cv2.GaussianBlur(grain, (0, 0), max(0.5, 0.5 * look.grain_um / um_per_pixel), grain)
    grain *= look.grain_depth / max(float(grain.std()), 1e-6)
    chromatin = (rng.normal(1.0, 0.08) * np.clip(1 + grain, 0.3, 1.8))[..., None]
    patch = density[row - half : row + half + 1, column - half : column + half + 1]
    patch += cytoplasm * (0.28 * stain - patch)
    patch += solid * (chromatin * stain - patch)


def draw_platelets(rng: np.random.Generator, density: NDArray[np.float32], um_per_pixel: float) -> None:
    """Draw a few small violet grains between the cells."""
    height, width = density.shape[:2]
    layer = np.zeros((height, width), np.float32)
    for _ in range(rng.poisson(4 * height * width * um_per_pixel**2 / REFERENCE_AREA_UM2)):
        centre = int(rng.integers(0, width)), int(rng.integers(0, height))
        radius = max(1, round(rng.uniform(0.5, 1.1) / um_per_pixel))
        cv2.circle(layer, centre, radius, (float(rng.uniform(0.3, 0.8)),), cv2.FILLED)
    density += layer[..., None] * stain_density(rng, (0.55, 0.40, 0.75), 0.1)
