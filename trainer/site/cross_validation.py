"""Every picture, judged once by a head that was fitted without it and its group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference.familiarity import Familiarity


@dataclass(frozen=True, slots=True, eq=False)
class FoldHead:
    """The head by which one fold was judged."""

    weights: NDArray[np.float64]
    """(c, f)."""
    bias: NDArray[np.float64]
    """(c,)."""
    familiarity: Familiarity


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """Held-out results for n pictures and c classes, in the order of ``Examples.files``.

    Regularisation is chosen anew inside each fold, by cross-validation within its training side.
    """

    logits: NDArray[np.float64]
    """(n, c): held out, before the temperature."""
    temperature: float
    """The divisor of the logits."""
    probabilities: NDArray[np.float64]
    """(n, c): held out, after the temperature."""
    folds: NDArray[np.int64]
    """(n,): number of the fold in which the picture was held out, from 0."""
    regularisations: tuple[float, ...]
    """C of the logistic regression that each fold chose."""
    unfamiliarity: NDArray[np.float64]
    """(n,): distance from the pictures that each fold was fitted to."""
    max_unfamiliarity_score: float
    """A picture with a higher score is unfamiliar."""
    min_confidence_ratio: float
    """A largest probability below this is too low for an answer."""
    heads: tuple[FoldHead, ...] = ()
    """The head of each fold, for pictures that are to be judged by the head that did not see them."""

    @property
    def top(self) -> NDArray[np.int64]:
        """(n,): index of the likeliest class, refused or not."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def unfamiliar(self) -> NDArray[np.bool_]:
        """(n,): pictures that would be refused as unfamiliar."""
        return np.asarray(self.unfamiliarity > self.max_unfamiliarity_score, np.bool_)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(n,): pictures that would get a label if the head is proven."""
        return np.asarray(~self.unfamiliar & (self.probabilities.max(axis=1) >= self.min_confidence_ratio), np.bool_)

    @property
    def splits(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Indices of the training and held-out pictures of each fold, as scikit-learn takes them."""
        return [
            (np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold)) for fold in np.unique(self.folds)
        ]
