"""Varies training fields by what must not matter: orientation, scale, light, stain, focus, camera, and burnt-in bars.

The all4 images carry a scale bar in the bottom-right corner whose kind alone tells the classes apart (87 %).
So the corner is first covered by its mirror image and then, in half of the cases, a corner is overwritten
at random: over the training set the corner carries nothing.
"""

from __future__ import annotations

import cv2
import numpy as np

from trainer.augmentation.optics import (
    CORNER_PX,
    Field,
    blur,
    brighten,
    cover_corner,
    jpeg,
    noise,
    stain,
    vignette,
    white_balance,
    zoom_rotate,
)

_BAR_COLOURS = ((0, 0, 0), (255, 255, 255), (220, 20, 20))
_CAPTIONS = ("100 px", "200 pi", "500 pixels", "10 um", "20 um", "50")


def augment(field: Field, rng: np.random.Generator) -> Field:
    """One random variant of a uint8 RGB field (h, w, 3), in the order of the light's way.

    Each change but the orientation is left out in a fifth to two thirds of the variants, so that sharp, untouched
    images stay among what is learnt, while most see several changes at once, as a slide from elsewhere would.
    """
    varied = turn(cover_corner(field), rng)
    if rng.random() < 0.8:
        varied = zoom_rotate(varied, float(np.exp(rng.uniform(np.log(0.8), np.log(1.25)))), rng.uniform(0, 360))
    if rng.random() < 0.5:
        varied = stain(varied, rng.uniform(0.8, 1.25, 3), rng.normal(0, 0.02, 3))
    if rng.random() < 0.8:
        varied = white_balance(varied, rng.uniform(0.75, 1.25) * rng.uniform(0.88, 1.12, 3))
    if rng.random() < 0.33:
        varied = vignette(varied, rng.uniform(0, 0.4))
    if rng.random() < 0.6:
        varied = blur(varied, rng.uniform(0, 1.6))
    if rng.random() < 0.33:
        varied = noise(varied, rng.uniform(0, 8), rng)
    if rng.random() < 0.5:
        varied = overwrite_corner(varied, rng)
    return jpeg(varied, int(rng.integers(35, 96))) if rng.random() < 0.65 else varied


def shift_moderately(field: Field, rng: np.random.Generator) -> Field:
    """What the model must bear, all at once, on a uint8 RGB field (h, w, 3).

    Any rotation, zoom 0.85 to 1.15, brightness x0.8 to 1.2, white balance +-10 % per channel, Gaussian blur of
    sigma 1 and JPEG of quality 50.
    """
    seen = zoom_rotate(field, rng.uniform(0.85, 1.15), rng.uniform(0, 360))
    lit = white_balance(brighten(seen, rng.uniform(0.8, 1.2)), rng.uniform(0.9, 1.1, 3))
    return jpeg(blur(lit, 1.0), 50)


def turn(field: Field, rng: np.random.Generator) -> Field:
    """One of the eight orientations of a square: a smear has no upright."""
    turned = np.rot90(field, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


def overwrite_corner(field: Field, rng: np.random.Generator) -> Field:
    """A scale bar, or else a flat patch of black, white or any colour, in one of the corners."""
    return draw_scale_bar(field, rng) if rng.random() < 0.67 else draw_patch(field, rng)


def draw_scale_bar(field: Field, rng: np.random.Generator) -> Field:
    """A bar with a caption in one of the corners, with or without a white box."""
    drawn = field.copy()
    left, top, right, bottom = _corner_box(field, rng)
    ink = _BAR_COLOURS[rng.integers(len(_BAR_COLOURS))]
    if rng.random() < 0.6:
        cv2.rectangle(drawn, (left, top), (right, bottom), (255, 255, 255), cv2.FILLED)
        ink = _BAR_COLOURS[0] if ink == (255, 255, 255) else ink
    bar_y = top + int(0.75 * (bottom - top))
    cv2.line(drawn, (left + 2, bar_y), (right - 2, bar_y), ink, int(rng.integers(1, 3)))
    caption, scale = str(rng.choice(_CAPTIONS)), float(rng.uniform(0.2, 0.4))
    cv2.putText(drawn, caption, (left + 2, bar_y - 2), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
    return drawn


def draw_patch(field: Field, rng: np.random.Generator) -> Field:
    """One of the corners in one colour: black, white or any."""
    drawn = field.copy()
    left, top, right, bottom = _corner_box(field, rng)
    kind = rng.integers(3)
    drawn[top:bottom, left:right] = rng.integers(0, 256, 3) if kind == 2 else 255 * kind
    return drawn


def _corner_box(field: Field, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a random box in a random corner."""
    height, width = field.shape[:2]
    box_height, box_width = int(rng.integers(10, CORNER_PX[0])), int(rng.integers(18, CORNER_PX[1]))
    top = int(rng.choice((0, height - box_height)))
    left = int(rng.choice((0, width - box_width)))
    return left, top, left + box_width, top + box_height
