"""Varies training fields in what must not matter: orientation, scale, light, stain, focus, camera, and burnt-in bars.

The all4 images carry a scale bar in the bottom-right corner, and its kind alone predicts the class (87 %). So this
corner is first covered by its mirror image. Then, in half of the cases, a corner is overwritten at random: over the
training set the corner carries no information.
"""

from __future__ import annotations

import numpy as np

from trainer.augmentation.corners import overwrite_corner
from trainer.augmentation.optics import (
    Field,
    blur,
    cover_corner,
    jpeg,
    noise,
    stain,
    vignette,
    white_balance,
    zoom_rotate,
)


def augment(field: Field, rng: np.random.Generator) -> Field:
    """One random variant of a uint8 RGB field (h, w, 3), with changes in the order of the optical path.

    Each change but the orientation is left out in a fifth to two thirds of the variants, so that sharp, untouched
    images remain among the training images, while most see several changes at once, as on a slide from elsewhere.
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


def turn(field: Field, rng: np.random.Generator) -> Field:
    """Turn a square field to one of its eight orientations: a smear has no upright orientation."""
    turned = np.rot90(field, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)
