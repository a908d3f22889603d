"""Measures how well confidence and accuracy agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.figures import ReliabilityBin, RiskPoint

CALIBRATION_BINS = 15
_COVERAGES_PCT = range(50, 101)


def expected_calibration_error(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Mean gap between confidence and accuracy over equal bins, weighted by their images (Naeini et al., 2015)."""
    gaps = np.bincount(_bins(confidence), weights=right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def reliability(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Confidence (n,) against accuracy over the bins of the expected calibration error."""
    bins = _bins(confidence)
    return tuple(
        ReliabilityBin(
            images_count=int((bins == each).sum()),
            confidence_ratio=float(confidence[bins == each].mean()),
            accuracy_ratio=float(right[bins == each].mean()),
        )
        for each in np.unique(bins)
    )


def risk_coverage(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> tuple[RiskPoint, ...]:
    """Error of the most confident 50 % to 100 % of the images (El-Yaniv and Wiener, 2010)."""
    order = np.argsort(-confidence, kind="stable")
    points = []
    for percent in _COVERAGES_PCT:
        kept = order[: max(1, round(percent * len(order) / 100))]
        points.append(
            RiskPoint(
                coverage_ratio=percent / 100,
                error_ratio=float(1 - right[kept].mean()),
                min_confidence_ratio=float(confidence[kept[-1]]),
            )
        )
    return tuple(points)


def _bins(confidence: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
