"""Varies training fields by what must not matter: orientation, light, stain, and burnt-in scale bars.

The all4 images carry a scale bar in the bottom-right corner whose kind alone tells the classes apart (87 %).
So the corner is first covered by its mirror image and then, in half of the cases, given a bar drawn
at random: over the training set the corner carries nothing.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.uint8]

CORNER_PX = (34, 44)
"""Height and width that the burnt-in bars and captions fit in."""

_BAR_COLOURS = ((0, 0, 0), (255, 255, 255), (220, 20, 20))
_CAPTIONS = ("100 px", "200 pi", "500 pixels", "10 um", "20 um", "50")


def augment(field: Field, rng: np.random.Generator) -> Field:
    """One random variant of a uint8 RGB field (h, w, 3)."""
    varied = vary_light(turn(cover_corner(field), rng), rng)
    return draw_scale_bar(varied, rng) if rng.random() < 0.5 else varied


def cover_corner(field: Field) -> Field:
    """Cover the bottom-right corner by the mirror image of what lies above it."""
    height, width = CORNER_PX
    covered = field.copy()
    covered[-height:, -width:] = field[-2 * height : -height, -width:][::-1]
    return covered


def turn(field: Field, rng: np.random.Generator) -> Field:
    """One of the eight orientations of a square: a smear has no upright."""
    turned = np.rot90(field, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


def vary_light(field: Field, rng: np.random.Generator) -> Field:
    """Brightness, white balance, contrast and strength of the stain, each by a little."""
    lab = cv2.cvtColor(field, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 1:] = 128 + (lab[..., 1:] - 128) * rng.uniform(0.85, 1.15) + rng.normal(0, 1.5, 2)
    stained = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    levels = np.linspace(0, 1, 256)[:, None] ** rng.uniform(0.85, 1.18)
    gains = rng.uniform(0.88, 1.1) * rng.normal(1.0, 0.02, 3)
    table = np.clip(levels * gains * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(stained, table[None]), np.uint8)


def draw_scale_bar(field: Field, rng: np.random.Generator) -> Field:
    """A bar with a caption in one of the corners, with or without a white box."""
    drawn = field.copy()
    height, width = drawn.shape[:2]
    box_height, box_width = int(rng.integers(10, CORNER_PX[0])), int(rng.integers(18, CORNER_PX[1]))
    top = int(rng.choice((0, height - box_height)))
    left = int(rng.choice((0, width - box_width)))
    ink = _BAR_COLOURS[rng.integers(len(_BAR_COLOURS))]
    if rng.random() < 0.6:
        cv2.rectangle(drawn, (left, top), (left + box_width, top + box_height), (255, 255, 255), cv2.FILLED)
        ink = _BAR_COLOURS[0] if ink == (255, 255, 255) else ink
    bar_y = top + int(0.75 * box_height)
    thickness = int(rng.integers(1, 3))
    cv2.line(drawn, (left + 2, bar_y), (left + box_width - 2, bar_y), ink, thickness)
    caption = str(rng.choice(_CAPTIONS))
    scale = float(rng.uniform(0.2, 0.4))
    cv2.putText(drawn, caption, (left + 2, bar_y - 2), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
    return drawn
