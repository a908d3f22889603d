"""Drawn blood smears, for demonstrations and tests where no real one may be used.

The four labels are told apart by the size, outline, stain, texture and number of the nuclei, in ways
that a small network can learn. They carry the names of the real classes so that every part runs as it
would in earnest, but they mean nothing clinically: no biology is claimed of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

DEFAULT_UM_PER_PIXEL = 0.47
"""A field of 224 px is then about 105 µm wide, a red cell 16 px."""

_RED_CELL_RADIUS_UM = 3.7
_RED_CELL_VARIANTS = 12
_RED_CELL_SPACING_UM = 7.6
_REFERENCE_AREA_UM2 = 10_000.0
_WAVES = (2, 3, 5)
"""Waves around an outline."""


@dataclass(frozen=True, slots=True)
class Nucleus:
    """Where a nucleus was drawn. ``radius_px`` is that of the circle of the same area, before outline noise."""

    x_px: float
    y_px: float
    radius_px: float


@dataclass(frozen=True, slots=True)
class SmearTruth:
    """What was drawn. Nuclei are those whose centre lies inside the picture."""

    label: str
    nuclei: tuple[Nucleus, ...]
    focus_sigma_px: float


@dataclass(frozen=True, slots=True)
class _Look:
    """How the white cells of a label look. Ranges are drawn from evenly."""

    radius_um: tuple[float, float]
    count: tuple[float, float]
    """Nuclei per ``_REFERENCE_AREA_UM2``."""
    stain: tuple[float, float, float]
    """Share of red, green and blue light that passes the nucleus."""
    lobes: float
    """Depth of the outline's waves as a share of the radius."""
    stretch: float
    """Longest axis over the shortest, at most, less one."""
    grain_um: float
    """Size of the chromatin's clumps."""
    grain_depth: float
    """Standard deviation of the stain's strength."""
    rim: tuple[float, float]
    """Width of the cytoplasm around the nucleus as a share of its radius."""
    crowding: float
    """Chance that a cell lies against the one before."""


_LOOKS = MappingProxyType(
    {
        "benign": _Look((3.4, 6.2), (3, 8), (0.34, 0.18, 0.72), 0.06, 0.25, 0.9, 0.10, (0.15, 0.45), 0.25),
        "early-pre-b": _Look((5.4, 7.4), (5, 12), (0.46, 0.30, 0.80), 0.14, 0.30, 1.6, 0.20, (0.0, 0.1), 0.45),
        "pre-b": _Look((6.0, 8.4), (7, 16), (0.50, 0.42, 0.84), 0.03, 0.12, 0.7, 0.08, (0.05, 0.15), 0.25),
        "pro-b": _Look((4.8, 6.4), (3, 8), (0.80, 0.48, 0.86), 0.03, 0.35, 1.0, 0.06, (0.0, 0.08), 0.1),
    }
)

SMEAR_LABELS: tuple[str, ...] = tuple(_LOOKS)


def draw_smear(
    rng: np.random.Generator,
    label: str,
    *,
    size_px: tuple[int, int] = (224, 224),
    um_per_pixel: float = DEFAULT_UM_PER_PIXEL,
    focus_sigma_px: float = 0.6,
    noise_sigma_levels: float = 2.0,
    scale_bar: bool = False,
    empty: bool = False,
) -> tuple[NDArray[np.uint8], SmearTruth]:
    """Draw one picture of a smear stained in the manner of Wright and Giemsa, at 100x.

    Light is weakened by what it passes (Beer and Lambert): the layers' optical densities add up, and
    overlapping red cells darken by themselves.

    :param rng: all that is random comes from here: the same state draws the same picture.
    :param label: one of ``SMEAR_LABELS``.
    :param size_px: (height, width).
    :param um_per_pixel: size of a pixel in the specimen; cells keep their physical size.
    :param focus_sigma_px: standard deviation of the Gaussian blur that stands for the focus.
    :param noise_sigma_levels: standard deviation of the sensor's noise in grey levels of 255.
    :param scale_bar: burn a bar and its caption into the bottom-right corner.
    :param empty: draw the stained glass without any cell.
    :returns: uint8 RGB (height, width, 3), and the truth.
    :raises ValueError: for a label that is not known.
    """
    if label not in _LOOKS:
        raise ValueError(f"no such smear: {label!r}; there are {', '.join(SMEAR_LABELS)}")
    look = _LOOKS[label]
    # The canvas is wider than the picture, so that cells at the border need no clipping.
    widest = _reach(look) + 0.5 + look.rim[1]
    margin = math.ceil(widest * look.radius_um[1] / um_per_pixel) + 4
    height, width = size_px
    density = np.zeros((height + 2 * margin, width + 2 * margin, 3), np.float32)
    nuclei: list[Nucleus] = []
    if not empty:
        nuclei = _place_nuclei(rng, look, size_px, margin, um_per_pixel)
        _draw_red_cells(rng, density, nuclei, um_per_pixel)
        _draw_platelets(rng, density, um_per_pixel)
        stain = _jitter(rng, look.stain, 0.12)
        for nucleus in nuclei:
            _draw_white_cell(rng, density, nucleus, look, stain, um_per_pixel)
    density = density[margin : margin + height, margin : margin + width]
    picture = np.exp(-density)
    picture *= _light(rng, size_px)
    if focus_sigma_px > 0:
        cv2.GaussianBlur(picture, (0, 0), focus_sigma_px, picture, borderType=cv2.BORDER_REFLECT_101)
    if noise_sigma_levels > 0:
        picture += noise_sigma_levels * rng.standard_normal(picture.shape, np.float32)
    image = np.clip(picture, 0, 255).astype(np.uint8)
    if scale_bar:
        _draw_scale_bar(image, um_per_pixel)
    inside = tuple(
        Nucleus(nucleus.x_px - margin, nucleus.y_px - margin, nucleus.radius_px)
        for nucleus in nuclei
        if margin <= nucleus.x_px < margin + width and margin <= nucleus.y_px < margin + height
    )
    return image, SmearTruth(label, inside, focus_sigma_px)


def _jitter(rng: np.random.Generator, transmittance: tuple[float, float, float], spread: float) -> NDArray[np.float32]:
    """The optical density of a stain, by which no two slides are the same."""
    strength = rng.normal(1.0, spread)
    channels = rng.normal(1.0, spread / 2, 3)
    return (-np.log(transmittance) * strength * channels).astype(np.float32)


def _place_nuclei(
    rng: np.random.Generator, look: _Look, size_px: tuple[int, int], margin: int, um_per_pixel: float
) -> list[Nucleus]:
    """Positions on the canvas, never much overlapping; some may lie just outside the picture."""
    height, width = size_px
    area_um2 = height * width * um_per_pixel**2
    wanted = max(1, round(rng.uniform(*look.count) * area_um2 / _REFERENCE_AREA_UM2))
    placed = np.empty((0, 3))
    # A crowded field may not take all that are wanted: the tries are bounded, the count is the truth.
    for _ in range(6 * wanted):
        if len(placed) == wanted:
            break
        radius = rng.uniform(*look.radius_um) / um_per_pixel
        if len(placed) and rng.random() < look.crowding:
            x, y, other = placed[-1]
            angle = rng.uniform(0, 2 * math.pi)
            x += 1.05 * (other + radius) * math.cos(angle)
            y += 1.05 * (other + radius) * math.sin(angle)
        else:
            x, y = rng.uniform(margin, margin + width), rng.uniform(margin, margin + height)
        gaps = np.hypot(placed[:, 0] - x, placed[:, 1] - y) - placed[:, 2] - radius
        reach = 0.5 * radius
        on_canvas = -reach < x - margin < width + reach and -reach < y - margin < height + reach
        if on_canvas and (not len(gaps) or gaps.min() > 0):
            placed = np.vstack([placed, (x, y, radius)])
    return [Nucleus(float(x), float(y), float(radius)) for x, y, radius in placed]


def _draw_red_cells(
    rng: np.random.Generator, density: NDArray[np.float32], nuclei: list[Nucleus], um_per_pixel: float
) -> None:
    """Red cells on a shaken lattice, fewer or more of them per field, none on a white cell."""
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
    stain = _jitter(rng, (0.66, 0.68, 0.74), 0.2)
    density += layer[..., None] * stain


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


def _reach(look: _Look) -> float:
    """The farthest that a nucleus of this look reaches from its centre, as a share of its radius."""
    return math.sqrt(1 + look.stretch) * (1 + sum(2 * look.lobes / waves for waves in _WAVES))


def _draw_white_cell(
    rng: np.random.Generator,
    density: NDArray[np.float32],
    nucleus: Nucleus,
    look: _Look,
    stain: NDArray[np.float32],
    um_per_pixel: float,
) -> None:
    """Cytoplasm, then the nucleus with its chromatin, over whatever lies there."""
    rim = rng.uniform(*look.rim) * nucleus.radius_px
    half = math.ceil(_reach(look) * nucleus.radius_px + rim) + 2
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


def _draw_platelets(rng: np.random.Generator, density: NDArray[np.float32], um_per_pixel: float) -> None:
    """A few small violet grains between the cells."""
    height, width = density.shape[:2]
    layer = np.zeros((height, width), np.float32)
    for _ in range(rng.poisson(4 * height * width * um_per_pixel**2 / _REFERENCE_AREA_UM2)):
        centre = int(rng.integers(0, width)), int(rng.integers(0, height))
        radius = max(1, round(rng.uniform(0.5, 1.1) / um_per_pixel))
        cv2.circle(layer, centre, radius, (float(rng.uniform(0.3, 0.8)),), cv2.FILLED)
    density += layer[..., None] * _jitter(rng, (0.55, 0.40, 0.75), 0.1)


def _light(rng: np.random.Generator, size_px: tuple[int, int]) -> NDArray[np.float32]:
    """The lamp as the sensor sees it: brightness, white balance and vignetting, float32 (height, width, 3)."""
    height, width = size_px
    colour = rng.uniform(234, 246) * rng.normal(1.0, 0.015, 3)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] - rng.uniform(-0.2, 0.2)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] - rng.uniform(-0.2, 0.2)
    fall_off = 1 - rng.uniform(0.02, 0.08) * (x * x + y * y)
    return np.asarray(fall_off[..., None] * np.minimum(colour, 250), np.float32)


def _draw_scale_bar(image: NDArray[np.uint8], um_per_pixel: float) -> None:
    """A white box with a black bar of 10 µm and its caption, as microscopes' software burns it in."""
    height, width = image.shape[:2]
    bar = max(2, round(10 / um_per_pixel))
    box_height = max(10, height // 22)
    left, top = max(0, width - bar - 8), height - box_height - 4
    cv2.rectangle(image, (left, top), (width - 4, height - 4), (255, 255, 255), cv2.FILLED)
    cv2.line(image, (left + 2, height - 6), (left + 2 + bar, height - 6), (0, 0, 0), 1)
    scale = box_height / 34
    caption = left + 2, height - 9
    cv2.putText(image, "10 um", caption, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
