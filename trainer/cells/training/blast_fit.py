"""Fits the blast's log-odds: linear in the appearance of the frozen maps, and strongly regularised.

Without strong regularisation, a linear model tells blasts from other cells of the laboratories that it saw by what is
peculiar to them. Restricted to what all of them share, it is worse there and better elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

INVERSE_STRENGTH = 1e-4
"""Inverse strength of the regularisation, chosen on the validation halves of laboratories that were left out."""
DARK_FACTOR = 3.5
"""The dark area is regularised less than the other features by this factor."""

_SCALE_INVERSE_STRENGTH = 1e3
_MIN_SPREAD = 1e-6

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class BlastModel:
    """The log-odds of a blast: ``features @ weights + dark_area * dark_weight + bias``."""

    weights: NDArray[np.float32]
    """(144,), in the order of ``build_blast_features``."""
    dark_weight: float
    bias: float

    @classmethod
    def fit(
        cls, features: Floats, dark_area: Floats, is_blast: NDArray[np.bool_], weights: NDArray[np.float64]
    ) -> Self:
        """Fit the model to features (n, 144), dark areas (n, 1) and whether each cell is a blast, (n,).

        ``weights`` (n,) say how much each cell counts. The directions of the model are those of a strongly regularised
        logistic regression, whose log-odds are near zero; their scale is fitted afterwards, by two numbers (Platt,
        1999).
        """
        both = np.concatenate([features, dark_area], axis=1).astype(np.float64)
        mean, spread = both.mean(axis=0), both.std(axis=0) + _MIN_SPREAD
        held_back = spread / np.append(np.ones(features.shape[1]), DARK_FACTOR)
        counted = weights / weights.mean()
        model = LogisticRegression(C=INVERSE_STRENGTH, max_iter=1000)
        model.fit((both - mean) / held_back, is_blast, sample_weight=counted)
        directions = model.coef_[0] / held_back
        sums = (both - mean) @ directions
        scale = LogisticRegression(C=_SCALE_INVERSE_STRENGTH, max_iter=1000)
        scale.fit(sums[:, None], is_blast, sample_weight=counted)
        slope, offset = float(scale.coef_[0, 0]), float(scale.intercept_[0])
        fitted = directions * slope
        return cls(fitted[:-1].astype(np.float32), float(fitted[-1]), offset - float(mean @ fitted))

    def log_odds(self, features: Floats, dark_area: Floats) -> NDArray[np.float64]:
        """The log-odds of a blast, (n,)."""
        return np.asarray(features @ self.weights + dark_area[:, 0] * self.dark_weight + self.bias, np.float64)
