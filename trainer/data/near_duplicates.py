"""Finds images that show the same part of a slide, so that a split can keep them together.

The same field may appear twice: as the same file, saved again, or shifted by part of a field. The displacement between
two images is at the peak of their phase correlation (Kuglin and Hines, 1975). They are near-duplicates if the parts
that they share correlate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trainer.progress import track

THUMBNAIL_PX = 56
MIN_PEAK = 0.13
"""Pairs with a lower phase correlation are not examined further. On the all4 set, real pairs had 0.16 or more."""
MIN_CORRELATION = 0.6
"""Pearson correlation of the shared part; hardly any pair of that set lies between 0.5 and 0.8."""
MAX_CANDIDATES = 16
"""The number of partners examined per image: those with the highest peaks."""


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """A pair of images by their indices, and the correlation of the part that they share."""

    first: int
    second: int
    correlation: float


def find_near_duplicates(fields: NDArray[np.uint8], hashes: Sequence[str], *, workers: int = -1) -> list[DuplicatePair]:
    """All pairs among fields, uint8 (n, h, w, 3), that share a file's hash or a quarter of the scene or more.

    ``workers`` is the number of threads, -1 for one per core. The time grows with the square of n: about a minute for
    3,000 images.
    """
    thumbnails = np.stack([_thumbnail(field) for field in fields])
    spectra = fft.rfft2(thumbnails)
    magnitudes = np.abs(spectra)
    # Otherwise, frequencies that hardly occur would be amplified noise.
    spectra /= magnitudes + 1e-6 * magnitudes.max(axis=(1, 2), keepdims=True) + 1e-12
    first_with: dict[str, int] = {}
    pairs = []
    for index, sha256 in enumerate(hashes):
        if (first := first_with.setdefault(sha256, index)) != index:
            pairs.append(DuplicatePair(first, index, 1.0))
    for first in track(range(len(fields) - 1), "Looking for near-duplicates"):
        surfaces = fft.irfft2(
            spectra[first] * spectra[first + 1 :].conj(), s=(THUMBNAIL_PX, THUMBNAIL_PX), workers=workers
        )
        flat = surfaces.reshape(len(surfaces), -1)
        peaks = flat.argmax(axis=1)
        heights = flat[np.arange(len(flat)), peaks]
        for offset in np.argsort(-heights)[:MAX_CANDIDATES]:
            second = first + 1 + int(offset)
            if heights[offset] < MIN_PEAK or hashes[first] == hashes[second]:
                continue
            correlation = _shared_correlation(thumbnails[first], thumbnails[second], int(peaks[offset]))
            if correlation >= MIN_CORRELATION:
                pairs.append(DuplicatePair(first, second, correlation))
    return pairs


def near_duplicate_groups(count: int, pairs: Sequence[DuplicatePair]) -> NDArray[np.int64]:
    """Group of each of ``count`` images, int64 (count,): near-duplicates of near-duplicates are in one group."""
    first = [pair.first for pair in pairs]
    second = [pair.second for pair in pairs]
    graph = coo_array((np.ones(len(pairs)), (first, second)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _thumbnail(field: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(field, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(small - small.mean(), np.float32)


def _shared_correlation(first: NDArray[np.float32], second: NDArray[np.float32], peak: int) -> float:
    """Correlation of two thumbnails where they overlap, with ``second`` moved by the displacement of ``peak``."""
    down, right = divmod(peak, THUMBNAIL_PX)
    down -= THUMBNAIL_PX if down > THUMBNAIL_PX // 2 else 0
    right -= THUMBNAIL_PX if right > THUMBNAIL_PX // 2 else 0
    a = first[_overlap(down), _overlap(right)]
    b = second[_overlap(-down), _overlap(-right)]
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def _overlap(shift: int) -> slice:
    return slice(max(0, shift), THUMBNAIL_PX + min(0, shift))
