"""Random variants of fields, each drawn by a generator of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vary = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


def vary_all(fields: NDArray[np.uint8], vary: Vary, seed: tuple[int, ...]) -> NDArray[np.uint8]:
    """Vary each field, uint8 RGB (n, h, w, 3), with a generator of its own, made from ``seed``."""
    generators = np.random.SeedSequence(seed).spawn(len(fields))
    return np.stack([vary(field, np.random.default_rng(each)) for field, each in zip(fields, generators, strict=True)])
