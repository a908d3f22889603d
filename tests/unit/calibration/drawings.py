"""Drawn stage micrometers and backgrounds with known measures."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

FINE = 3
"""Pixels are drawn finer by this factor in each direction, and averaged."""


def draw_ruler(
    period_px: float,
    angle_deg: float,
    *,
    size_px: tuple[int, int] = (360, 480),
    blur_px: float = 0.8,
    noise: float = 3.0,
    unevenness: float = 0.2,
    phase: float = 0.3,
    only: int | None = None,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """uint8 RGB: dark lines, longer at every fifth and tenth, under light that falls off. ``only``: number of lines."""
    height, width = size_px
    angle = math.radians(angle_deg)
    y, x = np.mgrid[0 : height * FINE, 0 : width * FINE].astype(np.float32) / FINE
    y, x = y - height / 2, x - width / 2
    across = (x * math.cos(angle) + y * math.sin(angle)) / period_px - phase
    along = np.abs(y * math.cos(angle) - x * math.sin(angle))
    number = np.round(across)
    length = np.where(number % 10 == 0, 0.40, np.where(number % 5 == 0, 0.32, 0.25)) * min(height, width)
    line = (np.abs(across - number) < 0.08) & (along < length)
    if only is not None:
        line &= (number >= 0) & (number < only)
    drawn = cv2.resize(np.where(line, 60, 210).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    drawn = cv2.GaussianBlur(drawn, (0, 0), blur_px)
    return finish(np.asarray(drawn, dtype=np.float32), unevenness, noise, seed)


def finish(grey: NDArray[np.float32], unevenness: float, noise: float, seed: int = 0) -> NDArray[np.uint8]:
    """Uneven light (darker by ``unevenness`` in the corners) and noise."""
    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    lit = grey * (1 - unevenness * (x**2 + y**2) / 2) + np.random.default_rng(seed).normal(0, noise, grey.shape)
    return np.repeat(np.clip(lit, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
