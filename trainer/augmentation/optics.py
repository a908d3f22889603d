"""Effects of microscopes, lamps, stains and cameras on a field, each a pure function of explicit parameters.

Training varies them at random (``augmentation``), evaluation sets them to stated values. All take and return
uint8 RGB fields (h, w, 3) and leave their argument unchanged.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Field = NDArray[np.uint8]

CORNER_PX = (36, 52)
"""Height and width of the bottom-right corner that contains burnt-in scale bars and their captions."""

_LEVELS = np.arange(256, dtype=np.float32)
# Optical density per unit of dye in red, green, blue: methylene blue and eosin of Giemsa's stain as in the
# colour deconvolution of Ruifrok and Johnston (2001), and the direction across both, for what neither explains.
_BLUE_AND_EOSIN = np.array([[0.834750, 0.513556, 0.196330], [0.092789, 0.954111, 0.283111]])
_DYES = np.stack([*_BLUE_AND_EOSIN, np.cross(*_BLUE_AND_EOSIN)])
_DYES /= np.linalg.norm(_DYES, axis=1, keepdims=True)


def brighten(field: Field, factor: float) -> Field:
    """Multiply all levels by ``factor``, saturating."""
    return white_balance(field, (factor, factor, factor))


def white_balance(field: Field, gains: ArrayLike) -> Field:
    """Multiply red, green and blue levels by their ``gains``, saturating."""
    table = np.clip(np.rint(_LEVELS[:, None] * np.asarray(gains, np.float32)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(field, table[None]), np.uint8)


def blur(field: Field, sigma_px: float) -> Field:
    """Apply a Gaussian blur, as when out of focus. 0 leaves the field unchanged."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma_px), np.uint8) if sigma_px > 0 else field.copy()


def jpeg(field: Field, quality: int) -> Field:
    """Write the field as JPEG of ``quality`` 1 to 100, and read it again."""
    encoded = cv2.imencode(".jpg", cv2.cvtColor(field, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.cvtColor(_decode(encoded), cv2.COLOR_BGR2RGB), np.uint8)


def zoom_rotate(field: Field, zoom: float, degrees: float) -> Field:
    """Magnify by ``zoom`` and turn anticlockwise about the centre. Beyond the border, the field is mirrored."""
    height, width = field.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, degrees, zoom)
    return np.asarray(cv2.warpAffine(field, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def stain(field: Field, factors: ArrayLike, offsets: ArrayLike) -> Field:
    """Change the strength of the stain: amounts of dye per pixel times ``factors`` plus ``offsets`` in optical density.

    There are three of each: methylene blue, eosin, and what neither explains (Tellez et al., 2018, for haematoxylin).
    """
    mixing = np.linalg.inv(_DYES) @ np.diag(np.asarray(factors, np.float64)) @ _DYES
    shift = np.asarray(offsets, np.float64) @ _DYES
    density = cv2.LUT(field, -np.log10((_LEVELS + 1) / 256)[None])
    changed = cv2.transform(density, np.column_stack([mixing.T, shift]).astype(np.float32))
    light = cv2.exp(np.clip(changed, 0, 3) * np.float32(-np.log(10)))
    return np.clip(np.rint(light * 256 - 1), 0, 255).astype(np.uint8)


def noise(field: Field, sigma_levels: float, rng: np.random.Generator) -> Field:
    """Add Gaussian noise of the sensor, independent for each pixel and channel."""
    added = rng.standard_normal(field.shape, np.float32) * np.float32(sigma_levels)
    return np.clip(np.rint(field + added), 0, 255).astype(np.uint8)


def vignette(field: Field, depth: float) -> Field:
    """Darken towards the corners, where ``depth`` (0 to 1) of the light is lost, by the square of the radius."""
    height, width = field.shape[:2]
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    light = 1 - np.float32(depth) * (y[:, None] ** 2 + x[None] ** 2) / 2
    return np.rint(field * light[..., None]).astype(np.uint8)


def cover_corner(field: Field) -> Field:
    """Cover the bottom-right corner with the mirror image of what lies above it."""
    height, width = CORNER_PX
    covered = field.copy()
    covered[-height:, -width:] = field[-2 * height : -height, -width:][::-1]
    return covered


def _decode(encoded: NDArray[np.uint8]) -> Field:
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError("JPEG was not decoded after it was encoded")
    return np.asarray(decoded, np.uint8)
