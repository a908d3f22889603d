"""Drawn blood smears, for demonstrations and tests where no real one may be used.

The four labels differ in the size, outline, stain, texture and number of the nuclei, in ways that a small network can
learn. They have the names of the real classes so that every part runs as usual, but they mean nothing clinically and
make no claim about biology.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.smear_cells import (
    LOOKS,
    REFERENCE_AREA_UM2,
    Look,
    Nucleus,
    draw_platelets,
    draw_red_cells,
    draw_white_cell,
    reach_ratio,
    stain_density,
)

DEFAULT_UM_PER_PIXEL = 0.47
"""A field of 224 px is then about 105 µm wide, a red cell 16 px."""


@dataclass(frozen=True, slots=True)
class SmearTruth:
    """The content of a drawing. Only nuclei whose centre is inside the picture count."""

    label: str
    nuclei: tuple[Nucleus, ...]
    focus_sigma_px: float


SMEAR_LABELS: tuple[str, ...] = tuple(LOOKS)

STAINS = MappingProxyType({"wright-giemsa": (1.0, 1.0, 1.0), "blue": (1.8, 0.9, 0.3)})
"""How strongly a stain absorbs red, green and blue light, relative to the one that the demonstration's bundle knows."""


def draw_smear(  # noqa: PLR0913 - all of them describe one drawing
    rng: np.random.Generator,
    label: str,
    *,
    size_px: tuple[int, int] = (224, 224),
    um_per_pixel: float = DEFAULT_UM_PER_PIXEL,
    focus_sigma_px: float = 0.6,
    noise_sigma_levels: float = 2.0,
    scale_bar: bool = False,
    empty: bool = False,
    stain: str = "wright-giemsa",
) -> tuple[NDArray[np.uint8], SmearTruth]:
    """Draw one picture of a smear at 100x, stained in the manner of Wright and Giemsa unless another stain is named.

    Each layer weakens the light (Beer and Lambert): the layers' optical densities add up, so that overlapping red cells
    darken by themselves.

    :param rng: the source of all randomness: the same state draws the same picture.
    :param label: one of ``SMEAR_LABELS``.
    :param size_px: (height, width).
    :param um_per_pixel: size of a pixel in the specimen; cells keep their physical size.
    :param focus_sigma_px: standard deviation of the Gaussian blur that simulates the focus.
    :param noise_sigma_levels: standard deviation of the sensor's noise in grey levels of 255.
    :param scale_bar: draw a bar and its caption in the bottom-right corner.
    :param empty: draw the stained glass without any cell.
    :param stain: one of ``STAINS``.
    :returns: uint8 RGB (height, width, 3), and the truth.
    :raises ValueError: for a label or stain that is not known.
    """
    if label not in LOOKS:
        raise ValueError(f"no such smear: {label!r}; there are {', '.join(SMEAR_LABELS)}")
    if stain not in STAINS:
        raise ValueError(f"no such stain: {stain!r}; there are {', '.join(STAINS)}")
    look = LOOKS[label]
    # The canvas is wider than the picture, so that cells at the border need no clipping.
    widest = reach_ratio(look) + 0.5 + look.rim[1]
    margin = math.ceil(widest * look.radius_um[1] / um_per_pixel) + 4
    height, width = size_px
    density = np.zeros((height + 2 * margin, width + 2 * margin, 3), np.float32)
    nuclei: list[Nucleus] = []
    if not empty:
        nuclei = _place_nuclei(rng, look, size_px, margin, um_per_pixel)
        draw_red_cells(rng, density, nuclei, um_per_pixel)
        draw_platelets(rng, density, um_per_pixel)
        nuclear = stain_density(rng, look.stain, 0.12)
        for nucleus in nuclei:
            draw_white_cell(rng, density, nucleus, look, nuclear, um_per_pixel)
    for channel, strength in enumerate(STAINS[stain]):
        density[..., channel] *= strength
    # In place, and one channel at a time below: temporary planes of a large picture would take most of the memory.
    picture = np.negative(density[margin : margin + height, margin : margin + width])
    del density
    np.exp(picture, out=picture)
    _light(rng, picture)
    if focus_sigma_px > 0:
        cv2.GaussianBlur(picture, (0, 0), focus_sigma_px, picture, borderType=cv2.BORDER_REFLECT_101)
    if noise_sigma_levels > 0:
        picture += noise_sigma_levels * rng.standard_normal(picture.shape, np.float32)
    image = np.clip(picture, 0, 255, out=picture).astype(np.uint8)
    if scale_bar:
        _draw_scale_bar(image, um_per_pixel)
    inside = tuple(
        Nucleus(nucleus.x_px - margin, nucleus.y_px - margin, nucleus.radius_px)
        for nucleus in nuclei
        if margin <= nucleus.x_px < margin + width and margin <= nucleus.y_px < margin + height
    )
    return image, SmearTruth(label, inside, focus_sigma_px)


def _place_nuclei(
    rng: np.random.Generator, look: Look, size_px: tuple[int, int], margin: int, um_per_pixel: float
) -> list[Nucleus]:
    """Positions on the canvas with little overlap; some may be just outside the picture."""
    height, width = size_px
    area_um2 = height * width * um_per_pixel**2
    wanted = max(1, round(rng.uniform(*look.count) * area_um2 / REFERENCE_AREA_UM2))
    placed = np.empty((0, 3))
    # A crowded field may not have room for all: the attempts are bounded, and the count is the truth.
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


def _light(rng: np.random.Generator, picture: NDArray[np.float32]) -> None:
    """Multiply ``picture`` by the lamp as the sensor sees it: brightness, white balance and vignetting."""
    height, width = picture.shape[:2]
    colour = rng.uniform(234, 246) * rng.normal(1.0, 0.015, 3)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] - rng.uniform(-0.2, 0.2)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] - rng.uniform(-0.2, 0.2)
    fall_off = 1 - rng.uniform(0.02, 0.08) * (x * x + y * y)
    for channel, level in enumerate(np.minimum(colour, 250)):
        picture[..., channel] *= (fall_off * level).astype(np.float32)


def _draw_scale_bar(image: NDArray[np.uint8], um_per_pixel: float) -> None:
    """Draw a white box with a black bar of 10 µm and its caption, as microscope software does."""
    height, width = image.shape[:2]
    bar = max(2, round(10 / um_per_pixel))
    box_height = max(10, height // 22)
    left, top = max(0, width - bar - 8), height - box_height - 4
    cv2.rectangle(image, (left, top), (width - 4, height - 4), (255, 255, 255), cv2.FILLED)
    cv2.line(image, (left + 2, height - 6), (left + 2 + bar, height - 6), (0, 0, 0), 1)
    scale = box_height / 34
    caption = left + 2, height - 9
    cv2.putText(image, "10 um", caption, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
