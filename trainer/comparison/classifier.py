"""The interface of everything that is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Fields = NDArray[np.uint8]
Scores = NDArray[np.floating]


class ComparedClassifier(Protocol):
    """A fitted classifier of fields."""

    size_bytes: int

    def scores(self, fields: Fields) -> Scores:
        """Fields uint8 RGB (n, 224, 224, 3) to scores (n, c), of which the largest names the class."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFields:
    """Fields uint8 RGB (n, 224, 224, 3) and their classes int64 (n,)."""

    fields: Fields
    labels: NDArray[np.int64]
