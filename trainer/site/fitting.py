"""The linear classifier of a head: logistic regression on scaled features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from trainer.site.folds import divide, folds_count

REGULARISATIONS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""C of the logistic regression, from which the inner cross-validation chooses.

From 0.1 on, it makes little difference ('python -m benchmarks site-models')."""

INNER_FOLDS = 4
CLEAN_WEIGHT = 0.5
"""Weight of a picture as it is, the rest being that of its plausible variants.

With these, a head is right on 96 % of such variants of pictures never seen instead of 86 %, and no worse on the
pictures themselves ('python -m benchmarks site-models')."""

_ITERATIONS, _TOLERANCE = 500, 1e-3
_ABSENT_LOGIT = -30.0
"""Logit of a class of which a fold has no picture."""
_LEAST_SCALE = 1e-3
"""Scale of a feature that hardly varies: dividing by less would amplify rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A linear classifier of unscaled features: the scaling is part of its weights."""

    weights: NDArray[np.float64]
    """(c, f)."""
    bias: NDArray[np.float64]
    """(c,)."""

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Logits (..., c) of features (..., f)."""
        return np.asarray(features @ self.weights.T + self.bias, np.float64)


def fit_linear(
    features: NDArray[np.float32],
    varied: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes_count: int,
    regularisation: float,
) -> Linear:
    """Multinomial logistic regression on features (n, f) and their variants (n, v, f), with labels (n,).

    Each feature is scaled to unit variance. A picture has the same weight as all its variants together, and both
    together that of one picture. ``regularisation`` is C: the smaller it is, the smaller the weights. At least two
    classes must have an example.
    """
    variants = varied.shape[1]
    rows = np.concatenate([features, varied.reshape(-1, features.shape[1])])
    named = np.concatenate([labels, np.repeat(labels, variants)])
    clean = CLEAN_WEIGHT if variants else 1.0
    shares = np.concatenate(
        [np.full(len(labels), clean), np.full(len(labels) * variants, (1 - clean) / max(1, variants))]
    )
    mean = rows.mean(axis=0, dtype=np.float64)
    scale = np.maximum(rows.std(axis=0, dtype=np.float64), _LEAST_SCALE)
    model = LogisticRegression(C=regularisation, max_iter=_ITERATIONS, tol=_TOLERANCE)
    model.fit((rows - mean) / scale, named, sample_weight=shares)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # scikit-learn gives the difference of two classes; giving half of it to each yields the same probabilities.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights = np.zeros((classes_count, features.shape[1]))
    bias = np.full(classes_count, _ABSENT_LOGIT)
    weights[model.classes_] = coefficients / scale
    bias[model.classes_] = intercepts - weights[model.classes_] @ mean
    return Linear(weights, bias)


def choose_regularisation(
    features: NDArray[np.float32],
    varied: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    classes_count: int,
    seed: int,
) -> float:
    """The C with the lowest log loss in cross-validation by groups (n,); the middle one if that is not possible.

    The other arguments are as for ``fit_linear``.
    """
    folds = min(INNER_FOLDS, folds_count(labels, groups))
    if folds < 2:
        return REGULARISATIONS[len(REGULARISATIONS) // 2]
    divided = divide(labels, groups, folds, seed)
    losses = dict.fromkeys(REGULARISATIONS, 0.0)
    for fold in range(folds):
        held_out = divided == fold
        if len(np.unique(labels[~held_out])) < 2 or not held_out.any():
            continue
        for regularisation in REGULARISATIONS:
            own = ~held_out
            fitted = fit_linear(features[own], varied[own], labels[own], classes_count, regularisation)
            probabilities = log_softmax(fitted.logits(features[held_out]), axis=1)
            losses[regularisation] -= float(probabilities[np.arange(held_out.sum()), labels[held_out]].sum())
    return min(losses, key=losses.__getitem__)
