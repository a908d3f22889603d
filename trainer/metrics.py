"""How well a classifier does, as figures that can be published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from edge_agent.contracts.manifest import Label
from edge_agent.settings import Settings

CALIBRATION_BINS = 15


class ClassFigures(Settings):
    """One class against the rest, every image counted."""

    code: str
    images_count: int
    precision_ratio: float
    recall_ratio: float
    f1_ratio: float


class Figures(Settings):
    """Figures of one set of images. Abstained images count with their likeliest class unless said otherwise."""

    images_count: int
    accuracy_ratio: float
    accuracy_interval_ratio: tuple[float, float] = Field(description="95 % Wilson interval.")
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...] = Field(description="Rows: truth; columns: likeliest class.")
    malignant_recall_ratio: float | None = Field(description="Malignant images given any malignant class.")
    malignant_specificity_ratio: float | None = Field(description="Others given a class that is not malignant.")
    abstained_ratio: float = Field(description="Share below the bundle's threshold.")
    answered_accuracy_ratio: float | None = Field(description="Accuracy of those at or above the threshold.")
    expected_calibration_error_ratio: float = Field(description="15 equal bins of confidence.")


def measure(
    probabilities: NDArray[np.floating],
    truth: NDArray[np.int64],
    labels: Sequence[Label],
    min_confidence_ratio: float,
) -> Figures:
    """Figures of probabilities (n, c) against truth (n,), n at least 1."""
    likeliest = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    right = likeliest == truth
    everything = list(range(len(labels)))
    precision, recall, f1, counts = precision_recall_fscore_support(
        truth, likeliest, labels=everything, zero_division=0.0
    )
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    malignant = np.array([label.malignant for label in labels])
    answered = confidence >= min_confidence_ratio
    return Figures(
        images_count=len(truth),
        accuracy_ratio=float(right.mean()),
        accuracy_interval_ratio=(float(interval.low), float(interval.high)),
        classes=tuple(
            ClassFigures(
                code=label.code,
                images_count=int(counts[index]),
                precision_ratio=float(precision[index]),
                recall_ratio=float(recall[index]),
                f1_ratio=float(f1[index]),
            )
            for index, label in enumerate(labels)
        ),
        confusion=tuple(
            tuple(int(cell) for cell in row) for row in confusion_matrix(truth, likeliest, labels=everything)
        ),
        malignant_recall_ratio=_share(malignant[likeliest], among=malignant[truth]),
        malignant_specificity_ratio=_share(~malignant[likeliest], among=~malignant[truth]),
        abstained_ratio=float(1 - answered.mean()),
        answered_accuracy_ratio=_share(right, among=answered),
        expected_calibration_error_ratio=expected_calibration_error(confidence, right),
    )


def expected_calibration_error(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Mean gap between confidence and accuracy over equal bins, weighted by their images (Naeini et al., 2015)."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _share(hit: NDArray[np.bool_], *, among: NDArray[np.bool_]) -> float | None:
    return float(hit[among].mean()) if among.any() else None
