"""Measures how well a classifier does, as figures that can be published.

An image's *top class* is the likeliest one, whether or not the agent then refuses the image; its *answered label* is
the agent's answer if the agent does not refuse. Everything is computed from counts and ranks. scikit-learn spends more
time on checking its arguments than on computing: with it, a bootstrap would take 17 s instead of one. Tests compare the
two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, rankdata

from edge_agent.contracts.manifest import Label
from trainer.evaluation.figures import ClassFigures, Figures
from trainer.evaluation.intervals import Interval, percentile_interval, resample
from trainer.evaluation.reliability import expected_calibration_error, reliability, risk_coverage


def measure_answers(
    probabilities: NDArray[np.floating],
    truth: NDArray[np.int64],
    labels: Sequence[Label],
    answered: NDArray[np.bool_],
    *,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Figures:
    """Figures of probabilities (n, c) against truth (n,), n at least 1. ``answered`` (n,) is true where not refused.

    With ``groups``, int64 (n,), every figure gets a bootstrap interval.
    """
    right = probabilities.argmax(axis=1) == truth
    confusion = _confusion(probabilities, truth)
    precision, recall, f1 = _by_class(confusion)
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    point = _figures(probabilities, truth, labels, answered)
    return Figures.model_validate(
        {
            **point,
            "images_count": len(truth),
            "groups_count": None if groups is None else len(np.unique(groups)),
            "accuracy_interval_ratio": (float(interval.low), float(interval.high)),
            "classes": tuple(
                ClassFigures(
                    code=label.code,
                    images_count=int(confusion[index].sum()),
                    precision_ratio=float(precision[index]),
                    recall_ratio=float(recall[index]),
                    f1_ratio=float(f1[index]),
                    auroc_ratio=auroc(probabilities[:, index], truth == index),
                )
                for index, label in enumerate(labels)
            ),
            "confusion": tuple(tuple(int(cell) for cell in row) for row in confusion),
            "reliability": reliability(probabilities.max(axis=1), right),
            "risk_coverage": risk_coverage(probabilities.max(axis=1), right),
            "intervals": None if groups is None else _intervals(probabilities, truth, labels, answered, groups, seed),
        }
    )


def auroc(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve of scores (n,); None if all or none are positive.

    It is Mann and Whitney's U over its maximum (Bamber, 1975).
    """
    ours = int(positive.sum())
    others = len(positive) - ours
    if not ours or not others:
        return None
    return float((rankdata(score)[positive].sum() - ours * (ours + 1) / 2) / (ours * others))


def _confusion(probabilities: NDArray[np.floating], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts int64 (c, c): rows are the truth, columns the top class."""
    count = probabilities.shape[1]
    cells = np.bincount(truth * count + probabilities.argmax(axis=1), minlength=count * count)
    return np.asarray(cells.reshape(count, count), np.int64)


def _by_class(confusion: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Precision, recall and F1, (c,) each; 0 for a class that has no image or is never named."""
    hits, images, named = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return (
        hits / np.maximum(named, 1),
        hits / np.maximum(images, 1),
        2 * hits / np.maximum(images + named, 1),
    )


def _figures(
    probabilities: NDArray[np.floating], truth: NDArray[np.int64], labels: Sequence[Label], answered: NDArray[np.bool_]
) -> dict[str, float | None]:
    """The figures that are one number each, None if not defined. Means leave out classes without images."""
    top = probabilities.argmax(axis=1)
    right = top == truth
    present = np.unique(truth)
    precision, recall, f1 = (each[present].mean() for each in _by_class(_confusion(probabilities, truth)))
    malignant = np.array([label.malignant for label in labels])
    is_malignant, called_malignant = malignant[truth], malignant[top]
    one_against_rest = [auroc(probabilities[:, index], truth == index) for index in present]
    defined = [area for area in one_against_rest if area is not None]
    hits = int((is_malignant & called_malignant).sum())
    either = int(is_malignant.sum() + called_malignant.sum())
    return {
        "accuracy_ratio": float(right.mean()),
        "macro_precision_ratio": float(precision),
        "macro_recall_ratio": float(recall),
        "macro_f1_ratio": float(f1),
        "auroc_ratio": float(np.mean(defined)) if defined else None,
        "malignant_precision_ratio": _share(is_malignant, among=called_malignant),
        "malignant_recall_ratio": _share(called_malignant, among=is_malignant),
        "malignant_specificity_ratio": _share(~called_malignant, among=~is_malignant),
        "malignant_f1_ratio": 2 * hits / either if either else None,
        "malignant_auroc_ratio": auroc(probabilities[:, malignant].sum(axis=1), is_malignant),
        "refused_ratio": float(1 - answered.mean()),
        "answered_accuracy_ratio": _share(right, among=answered),
        "expected_calibration_error_ratio": expected_calibration_error(probabilities.max(axis=1), right),
        "brier_score": float(np.square(probabilities - np.eye(len(labels))[truth]).sum(axis=1).mean()),
    }


def _intervals(
    probabilities: NDArray[np.floating],
    truth: NDArray[np.int64],
    labels: Sequence[Label],
    answered: NDArray[np.bool_],
    groups: NDArray[np.int64],
    seed: int,
) -> dict[str, Interval]:
    names = list(_figures(probabilities, truth, labels, answered))

    def statistic(times: NDArray[np.int64]) -> NDArray[np.float64]:
        drawn = np.repeat(np.arange(len(truth)), times)
        figures = _figures(probabilities[drawn], truth[drawn], labels, answered[drawn])
        return np.array([np.nan if figures[name] is None else figures[name] for name in names], np.float64)

    distribution = resample(statistic, groups, seed=seed)
    found = {name: percentile_interval(distribution[:, index]) for index, name in enumerate(names)}
    return {name: interval for name, interval in found.items() if interval is not None}


def _share(hit: NDArray[np.bool_], *, among: NDArray[np.bool_]) -> float | None:
    return float(hit[among].mean()) if among.any() else None
