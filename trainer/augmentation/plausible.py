"""Plausible variants of a field, to which a bundle's familiarity is fitted."""

from __future__ import annotations

import numpy as np

from trainer.augmentation.augment import turn
from trainer.augmentation.corners import draw_patch, overwrite_corner
from trainer.augmentation.optics import (
    Field,
    blur,
    brighten,
    cover_corner,
    jpeg,
    noise,
    stain,
    white_balance,
    zoom_rotate,
)


def vary_plausibly(field: Field, rng: np.random.Generator) -> Field:
    """One plausible variant of a uint8 RGB field (h, w, 3): another lamp, camera, focus, scale and batch of stain.

    All changes of light and colour and of scale share one strength, from none to full, so that nearly
    unchanged fields stay the most common: with strong changes alone, clean fields would be outliers.
    """
    varied = turn(field if rng.random() < 0.3 else cover_corner(field), rng)
    if rng.random() < 0.1:
        return varied
    strength = rng.uniform(0, 1)
    if rng.random() < 0.9:
        varied = zoom_rotate(varied, 1 + strength * rng.uniform(-0.2, 0.2), rng.uniform(0, 360))
    if rng.random() < 0.5:
        varied = stain(varied, 1 + strength * rng.uniform(-0.1, 0.1, 3), strength * rng.normal(0, 0.01, 3))
    varied = brighten(varied, 1 + strength * rng.uniform(-0.25, 0.25))
    varied = white_balance(varied, 1 + strength * rng.uniform(-0.13, 0.13, 3))
    if rng.random() < 0.6:
        varied = blur(varied, rng.uniform(0.3, 1.4))
    if rng.random() < 0.3:
        varied = noise(varied, rng.uniform(1, 5), rng)
    # The corner must not decide whether a field is familiar, so flat patches are more common than in reality.
    if rng.random() < 0.5:
        varied = (draw_patch if rng.random() < 0.5 else overwrite_corner)(varied, rng)
    return jpeg(varied, int(rng.integers(40, 96))) if rng.random() < 0.6 else varied
