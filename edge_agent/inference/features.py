"""The features that a head judges by: numbers of a field that the bundle's network gives anyway.

Each is a statistic over the places of the middle map, so that a head's logits can be divided among the places. The
result is the head's activation map, and its mean is the logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.inference.familiarity import describe, description_size

Image: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]

_COLOURS = 3
_SAMPLES = 4
"""Each place is the mean of this many pixels of the image in each direction."""
_LEAST_SPREAD = 1e-3
"""The spread of a channel that does not vary over the field, so that nothing is divided by 0 or a rounding error."""

_BACKGROUND_RATIO = 0.75
"""The brightest quarter of the places is background unless the smear is packed with cells."""
_CENTRE_SIGMA_RATIO = 0.3
"""Standard deviation of the weight of a place by its distance from the centre, as a ratio to the field's side."""
_LEAST_DARKNESS = 4.0
"""Least darkness in squared levels of 255, so that a field without stained cells is described as a whole."""
_MIDDLE_LEVEL = 128
"""Subtracted from CIE LAB of 8 bits, so that squares stay small enough for float32."""


class FieldFeatures(Protocol):
    """The features of one field, and the places that they come from."""

    @property
    def values(self) -> Floats:
        """(features,)."""

    def explain(self, weights: Floats, bias: Floats) -> Floats:
        """How much each place speaks for each class, (rows, columns, classes); the mean is the logits.

        ``weights`` is (classes, features) and ``bias`` (classes,).
        """


@dataclass(frozen=True, slots=True)
class FeatureKind:
    """One way to make features of a field."""

    describe: Callable[[Image, Floats], FieldFeatures]
    """Takes the preprocessed field, uint8 (h, w, 3), and the middle map, float32 (rows, columns, channels)."""
    size: Callable[[int], int]
    """Number of features of a middle map with this many channels."""
    whole_field_ratio: float = 1.0
    """Share of the features, the first ones, that describe the field as a whole. Familiarity is measured from them."""

    def make(self, image: Image, middle_map: Floats) -> Floats:
        """The values alone, (features,)."""
        return self.describe(image, middle_map).values


class WholeField:
    """``field-description@1``: the description that the bundle's own familiarity uses (``familiarity.describe``)."""

    def __init__(self, image: Image, middle_map: Floats) -> None:
        self.values: Floats = describe(image, middle_map)
        self._map = middle_map

    def explain(self, weights: Floats, bias: Floats) -> Floats:
        """As ``FieldFeatures``. The colours of the whole field contribute the same everywhere.

        The mean and the spread of a channel are sums over places: of x / n, and of (x - mean)² / (n · spread).
        """
        channels = self._map.shape[-1]
        mean, spread, colours = np.split(self.values, [channels, 2 * channels])
        by_mean, by_spread, by_colours = np.split(weights, [channels, 2 * channels], axis=1)
        scaled = by_spread / np.maximum(spread, _LEAST_SPREAD)
        everywhere = by_colours @ colours + bias
        return np.asarray(self._map @ by_mean.T + np.square(self._map - mean) @ scaled.T + everywhere, np.float32)


class CellsInField:
    """``field-description@2``: 4 · (channels + 3) numbers of a field and of the stained cells in it.

    Mean and standard deviation of each channel of the middle map, and of CIE LAB at the map's resolution: first over
    the whole field, then with each place weighted by how dark it is in red light, squared, and by how near to the
    centre. Nuclei absorb red light, and red cells hardly do; where a site cuts out single cells, the cell is in the
    centre. Measured by 'python -m benchmarks site-models'.
    """

    def __init__(self, image: Image, middle_map: Floats) -> None:
        rows, columns, channels = middle_map.shape
        self._shape = rows, columns
        # A sixteenth of the pixels is enough, and takes a quarter of the time of all.
        some = cv2.resize(image, (_SAMPLES * columns, _SAMPLES * rows), interpolation=cv2.INTER_NEAREST)
        small = np.asarray(cv2.resize(some, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        count = channels + _COLOURS
        # Each place's values, their squares, and 1.
        self._places = np.empty((rows * columns, 2 * count + 1), np.float32)
        self._places[:, -1] = 1
        values = self._places[:, :count]
        values[:, :channels] = middle_map.reshape(-1, channels)
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).reshape(-1, _COLOURS)
        np.subtract(lab, _MIDDLE_LEVEL, out=values[:, channels:], dtype=np.float32)
        np.square(values, out=self._places[:, count:-1])
        self._windows = np.stack([_everywhere(rows, columns), _stained(small)])
        sums = self._windows @ self._places
        self._mean = sums[:, :count]
        squared = np.square(self._mean)
        variance = sums[:, count:-1] - squared
        self._spread = np.sqrt(np.maximum(variance, _LEAST_SPREAD**2 * (1 + squared)))
        # The excess over the sum over places of a spread that was raised to the least.
        self._raised = self._spread - variance / self._spread
        self.values: Floats = np.concatenate([self._mean, self._spread], axis=1).reshape(-1)

    def explain(self, weights: Floats, bias: Floats) -> Floats:
        """As ``FieldFeatures``: the mean is a sum over places of w·x, the spread one of w·(x - mean)² / spread."""
        classes = len(weights)
        by_window = weights.reshape(classes, len(self._windows), 2, -1)
        by_mean, by_spread = by_window[:, :, 0], by_window[:, :, 1]
        square = by_spread / self._spread
        slope = square * self._mean
        constant = (slope * self._mean).sum(axis=2)
        constant[:, 0] += bias + (by_spread * self._raised).sum(axis=(1, 2))
        terms = np.concatenate([by_mean - 2 * slope, square, constant[:, :, None]], axis=2)
        field, cells = (self._places @ terms[:, window].T for window in (0, 1))
        # Over the whole field every place has the same weight.
        found = field + (len(field) * self._windows[1])[:, None] * cells
        return np.asarray(found.reshape(*self._shape, classes), np.float32)


def _cells_size(channels_count: int) -> int:
    return 4 * (channels_count + _COLOURS)


@lru_cache(maxsize=8)
def _everywhere(rows: int, columns: int) -> Floats:
    """The same weight (places,) for each place. The sum is 1."""
    return np.full(rows * columns, 1 / (rows * columns), np.float32)


def _stained(small: Image) -> Floats:
    """Weight (places,) of each pixel of a small field, uint8 RGB (rows, columns, 3). The sum is 1."""
    red = small[..., 0].reshape(-1).astype(np.float32)
    at = int(_BACKGROUND_RATIO * len(red))
    darkness = np.square(np.maximum(np.partition(red, at)[at] - red, 0)) + _LEAST_DARKNESS
    weights = darkness * _centre(*small.shape[:2])
    return np.asarray(weights / weights.sum(), np.float32)


@lru_cache(maxsize=8)
def _centre(rows: int, columns: int) -> Floats:
    """Weight (places,) of each place by its distance from the centre."""
    down = (np.arange(rows) + 0.5) / rows - 0.5
    across = (np.arange(columns) + 0.5) / columns - 0.5
    squared = np.square(down)[:, None] + np.square(across)
    return np.exp(-squared / (2 * _CENTRE_SIGMA_RATIO**2)).astype(np.float32).reshape(-1)


FEATURES: Mapping[str, FeatureKind] = MappingProxyType(
    {
        "field-description@1": FeatureKind(WholeField, description_size),
        "field-description@2": FeatureKind(CellsInField, _cells_size, whole_field_ratio=0.5),
    }
)
"""Kinds of features by their names in ``head.json``. The meaning of a released name never changes."""
