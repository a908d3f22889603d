"""The moderate shift that a model has to withstand."""

from __future__ import annotations

import numpy as np

from trainer.augmentation.optics import (
    Field,
    blur,
    brighten,
    jpeg,
    white_balance,
    zoom_rotate,
)


def shift_moderately(field: Field, rng: np.random.Generator) -> Field:
    """Apply all changes that the model has to withstand to a uint8 RGB field (h, w, 3) at once.

    Any rotation, zoom 0.85 to 1.15, brightness x0.8 to 1.2, white balance +-10 % per channel, Gaussian blur of
    sigma 1 and JPEG of quality 50.
    """
    seen = zoom_rotate(field, rng.uniform(0.85, 1.15), rng.uniform(0, 360))
    lit = white_balance(brighten(seen, rng.uniform(0.8, 1.2)), rng.uniform(0.9, 1.1, 3))
    return jpeg(blur(lit, 1.0), 50)
