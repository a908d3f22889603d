"""What a head looks at: numbers of a field that the bundle's network gives anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference.familiarity import describe, description_size


@dataclass(frozen=True, slots=True)
class FeatureKind:
    """One way to make features of a field."""

    make: Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]
    """Takes the preprocessed field, uint8 (h, w, 3), and the middle map, float32 (rows, columns, channels)."""
    size: Callable[[int], int]
    """Number of features of a middle map with so many channels."""


FEATURES: Mapping[str, FeatureKind] = MappingProxyType({"field-description@1": FeatureKind(describe, description_size)})
"""By the name in ``head.json``. What a released name means never changes."""
