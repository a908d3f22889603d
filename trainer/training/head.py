"""The linear classifier on pooled features, L2-regularised and class-weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from trainer.progress import track

INVERSE_STRENGTHS = (0.003, 0.01, 0.03, 0.1)
"""Inverse regularisation strengths ("C") that are tried."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One regularisation strength and its results on the validation images."""

    inverse_strength: float
    validation_log_loss: float
    validation_accuracy: float


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear classifier: coefficients float32 (c, d), intercept float32 (c,)."""

    coefficients: NDArray[np.float32]
    intercept: NDArray[np.float32]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d) to (n, c)."""
        return features @ self.coefficients.T + self.intercept


def fit_head(
    train: tuple[NDArray[np.float32], NDArray[np.int64]],
    validation: tuple[NDArray[np.float32], NDArray[np.int64]],
    *,
    inverse_strengths: Sequence[float] = INVERSE_STRENGTHS,
) -> tuple[Head, list[Trial]]:
    """Fit one head per strength on (features, labels); keep the one with the lowest validation log loss.

    Labels are int64 (n,), 0 to c - 1, each present in both sets. All classes have the same weight, whatever their size.
    """
    features, labels = train
    best: Head | None = None
    trials: list[Trial] = []
    for strength in track(inverse_strengths, "Fitting the head"):
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=5000)
        model.fit(features, labels)
        head = _symmetric(model)
        logits = head.logits(validation[0])
        trial = Trial(
            strength,
            float(log_loss(validation[1], model.predict_proba(validation[0]))),
            float((logits.argmax(axis=1) == validation[1]).mean()),
        )
        if best is None or trial.validation_log_loss < min(each.validation_log_loss for each in trials):
            best = head
        trials.append(trial)
    if best is None:
        raise ValueError("no strength to try")
    return best, trials


def _symmetric(model: LogisticRegression) -> Head:
    """Give two classes one row each, too: scikit-learn has a single row for their difference."""
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    return Head(coefficients.astype(np.float32), intercept.astype(np.float32))
