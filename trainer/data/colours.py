"""Describes the light and stain of a field, independently of its cells."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

BACKGROUND_SHARE = 0.25
"""The brightest quarter is background unless the smear is packed with cells."""
_STAINED_DENSITY = 0.15
"""Optical density from which a pixel counts as stained (Macenko et al., 2009)."""


def background(field: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean and spread of the background in CIE LAB, float32 (6,), of a field uint8 RGB (h, w, 3)."""
    lab = cv2.cvtColor(field, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    return _mean_and_spread(lab[lab[:, 0] >= np.quantile(lab[:, 0], 1 - BACKGROUND_SHARE)])


def stain(field: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean and spread of the stained pixels' optical density, float32 (6,); zeros if nothing is stained."""
    density = -np.log10((field.reshape(-1, 3).astype(np.float32) + 1) / 256)
    stained = density[(density > _STAINED_DENSITY).all(axis=1)]
    return _mean_and_spread(stained) if len(stained) else np.zeros(6, np.float32)


def describe(fields: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Background and stain of each field: float32 (n, 12)."""
    return np.stack([np.concatenate([background(field), stain(field)]) for field in fields])


def _mean_and_spread(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([pixels.mean(axis=0), pixels.std(axis=0)])
