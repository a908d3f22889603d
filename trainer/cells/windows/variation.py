"""Varies a window as other laboratories' stains, lamps and cameras would, before it is preprocessed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.cell_stain import MAX_BLACK_LEVEL, is_cut_out
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER
from edge_agent.vision.stain import measure_stain
from trainer.augmentation.optics import blur, jpeg, noise
from trainer.cells.windows.cut_out import cell_mask

Array = NDArray[np.uint8]

STRENGTH = 0.6
"""The strength used in training."""

CUT_OUT_BACKGROUND = (232.0, 228.0, 235.0)
"""Assumed colour of the light around a cell that was cut out on black."""

_MIN_CUT_OUT_LEVEL = np.uint8(MAX_BLACK_LEVEL + 4)
"""A cell on black that becomes very dark must not become part of the black; JPEG changes levels by a few."""

_MIN_BACKGROUND = 60.0
"""A window full of cells shows no background: a measured background below this level is too dark to be one."""

_MIX_SIGMA = 0.12
_STAIN_SIGMA = 0.2
_CHANNEL_SIGMA = 0.22
_GAMMA_SIGMA = 0.12
_TINT_SIGMA = 0.05
_GREY_CHANCE = 0.12
"""The sigmas and the chance above are for a strength of 1."""


def vary(window: Array, rng: np.random.Generator, strength: float = STRENGTH) -> Array:
    """One random variant of a uint8 RGB (h, w, 3) window; 0 changes nothing, and more than 1 is no longer plausible.

    The changes follow the path of the light: stain (the optical density relative to the background, mixed between
    channels and scaled), contrast, tint, focus, resolution, noise, JPEG. The surround of a cell on black stays black.
    Raises ``ValueError`` for a negative strength.
    """
    if strength < 0:
        raise ValueError(f"strength is {strength:g}; it must not be negative")
    if strength == 0:
        return window.copy()
    surround = None
    background: tuple[float, ...] = CUT_OUT_BACKGROUND
    if is_cut_out(window):
        surround = cell_mask(window) == 0
    else:
        background = tuple(
            max(each, _MIN_BACKGROUND) for each in measure_stain(SEGMENTATION_DENOISER(window)).background
        )
    varied = _photograph(_stain(window, np.asarray(background, np.float32), rng, strength), rng, strength)
    if surround is not None:
        varied = np.maximum(varied, _MIN_CUT_OUT_LEVEL)
        varied[surround] = 0
    return _compress(varied, rng, strength)


def _stain(window: Array, background: NDArray[np.float32], rng: np.random.Generator, strength: float) -> Array:
    density = np.log((background + 1) / (window.astype(np.float32) + 1))
    mixing = np.eye(3) + rng.normal(0, _MIX_SIGMA * strength, (3, 3))
    gains = np.exp(rng.normal(0, _CHANNEL_SIGMA * strength, 3) + rng.normal(0, _STAIN_SIGMA * strength))
    density = density @ (mixing * gains).astype(np.float32)
    if rng.random() < _GREY_CHANCE * strength:
        density = np.repeat(density[..., 1:2], 3, axis=2)
    gamma = np.float32(np.exp(rng.normal(0, _GAMMA_SIGMA * strength)))
    density = np.sign(density) * np.abs(density) ** gamma
    density = density + rng.normal(0, _TINT_SIGMA * strength, 3).astype(np.float32)
    levels = np.rint((background + 1) * np.exp(-density) - 1)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def _photograph(window: Array, rng: np.random.Generator, strength: float) -> Array:
    often = min(1.0, strength / STRENGTH)
    if rng.random() < 0.5 * often:
        window = blur(window, rng.uniform(0.3, 1.3))
    if rng.random() < 0.25 * often:
        window = _coarsen(window, rng.uniform(0.35, 0.9))
    if rng.random() < 0.3 * often:
        window = noise(window, rng.uniform(1, 6), rng)
    return window


def _coarsen(window: Array, ratio: float) -> Array:
    """Show the window as a camera with fewer pixels would have taken it."""
    coarse = cv2.resize(window, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, window.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _compress(window: Array, rng: np.random.Generator, strength: float) -> Array:
    compressed = rng.random() < 0.4 * min(1.0, strength / STRENGTH)
    return jpeg(window, int(rng.integers(45, 95))) if compressed else window
