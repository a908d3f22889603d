"""Overwrites a corner of a field at random, as burnt-in scale bars do."""

from __future__ import annotations

import cv2
import numpy as np

from trainer.augmentation.optics import (
    CORNER_PX,
    Field,
)

_BAR_COLOURS = ((0, 0, 0), (255, 255, 255), (220, 20, 20))
_CAPTIONS = ("100 px", "200 pi", "500 pixels", "10 um", "20 um", "50")


def overwrite_corner(field: Field, rng: np.random.Generator) -> Field:
    """Put a scale bar, or a flat patch of black, white or any colour, into one of the corners."""
    return draw_scale_bar(field, rng) if rng.random() < 0.67 else draw_patch(field, rng)


def draw_scale_bar(field: Field, rng: np.random.Generator) -> Field:
    """Draw a bar with a caption into one of the corners, with or without a white box."""
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
    """Paint one of the corners in one colour: black, white or any other."""
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
