"""Computes figures of weighted cells: a resample is how often each cell is in it, and a thousand are one array.

The figures are computed from ranks and counts: scikit-learn's functions would have to be called once for each resample.
Tests compare the two.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trainer.cells.laboratories.sources import TYPES, Meaning
from trainer.many_laboratories.scores import Scores

Floats = NDArray[np.float64]

MATURE = (Meaning.LYMPHOCYTE, Meaning.MONOCYTE, Meaning.NEUTROPHIL, Meaning.EOSINOPHIL, Meaning.BASOPHIL)
"""The five types of white cells of healthy blood."""

SPECIFICITY = 0.95
CALIBRATION_BINS = 15

_FEWEST_TYPES = 2


def measure_cells(scores: Scores, weights: Floats) -> Mapping[str, Floats]:
    """Each figure by its name, (r,), of the cells weighted by each row of ``weights`` (r, n).

    A figure is NaN for a resample that does not define it: one without a blast, or without anything else. A figure that
    the cells themselves do not define is left out.
    """
    blast = scores.are(Meaning.BLAST)
    lymphocyte = scores.are(Meaning.LYMPHOCYTE)
    found = {
        "blast_auroc_ratio": area(scores.blast_ratio, blast, weights),
        "blast_lymphocyte_auroc_ratio": _among(scores, blast | lymphocyte, weights),
        "sensitivity_ratio": sensitivity(scores.blast_ratio, blast, weights),
        "calibration_error_ratio": calibration_error(scores.blast_ratio, blast, weights),
        "brier_score": mean((scores.blast_ratio - blast) ** 2, weights),
        "blasts_named_ratio": mean(_named_blast(scores), weights * blast),
        "others_named_blast_ratio": mean(_named_blast(scores), weights * ~blast),
        **_types(scores, weights),
    }
    return {name: values for name, values in found.items() if np.isfinite(values).any()}


def mean(values: NDArray[np.floating] | NDArray[np.bool_], weights: Floats) -> Floats:
    """Weighted mean (r,) of ``values`` (n,) for each row of ``weights`` (r, n); NaN if all weights are 0."""
    return _share(weights @ values.astype(np.float64), weights.sum(axis=1))


def area(score: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Area under the ROC curve (r,) of a score (n,): Mann and Whitney's U, in which ties count half."""
    ours, others = _by_score(score, positive, weights)
    below = others.cumsum(axis=1) - others / 2
    return _share((ours * below).sum(axis=1), ours.sum(axis=1) * others.sum(axis=1))


def sensitivity(score: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Share (r,) of the positives above the lowest threshold below which 95 % of the others stay."""
    ours, others = _by_score(score, positive, weights)
    # From the highest score down: the weights that each threshold lets pass.
    hits, false_alarms = ours[:, ::-1].cumsum(axis=1), others[:, ::-1].cumsum(axis=1)
    total = others.sum(axis=1, keepdims=True)
    allowed = false_alarms <= (1 - SPECIFICITY) * total + 1e-9
    most = np.where(allowed, hits, 0).max(axis=1, initial=0)
    return np.where(total[:, 0] > 0, _share(most, ours.sum(axis=1)), np.nan)


def calibration_error(ratio: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Mean gap (r,) between probability and share of positives over equal bins, weighted by their cells."""
    bins = np.minimum((ratio * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = np.zeros((len(ratio), CALIBRATION_BINS))
    gaps[np.arange(len(ratio)), bins] = positive - ratio
    return _share(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


def macro_f1(truth: NDArray[np.int64], named: NDArray[np.int64], weights: Floats, classes: int) -> Floats:
    """Mean F1 (r,) over the classes that a resample has: ``truth`` and ``named`` (n,) are positions below it."""
    hits = np.zeros((len(truth), classes))
    is_truth, is_named = hits.copy(), hits.copy()
    rows = np.arange(len(truth))
    is_truth[rows, truth] = 1
    known = named < classes
    is_named[rows[known], named[known]] = 1
    hits = is_truth * is_named
    right, present, called = (weights @ each for each in (hits, is_truth, is_named))
    f1 = np.where(present > 0, 2 * right / np.maximum(present + called, 1e-12), 0)
    return _share(np.asarray(f1).sum(axis=1), (present > 0).sum(axis=1).astype(np.float64))


def _named_blast(scores: Scores) -> NDArray[np.bool_]:
    return np.asarray(scores.probabilities.argmax(axis=1) == TYPES.index(Meaning.BLAST))


def _among(scores: Scores, chosen: NDArray[np.bool_], weights: Floats) -> Floats:
    own = scores.among(chosen)
    return area(own.blast_ratio, own.are(Meaning.BLAST), weights[:, chosen])


def _types(scores: Scores, weights: Floats) -> dict[str, Floats]:
    """Figures of the cells of the five mature types: named as one of these five, or as any of all types."""
    columns = [TYPES.index(each) for each in MATURE]
    chosen = np.isin(scores.truth, columns)
    own = scores.among(chosen)
    if len(np.unique(own.truth)) < _FEWEST_TYPES:
        return {}
    truth = np.array([columns.index(each) for each in own.truth])
    among_five = own.probabilities[:, columns].argmax(axis=1)
    # Any other type gets a position beyond the five.
    position = np.array([columns.index(each) if each in columns else len(columns) for each in range(len(TYPES))])
    among_all = position[own.probabilities.argmax(axis=1)]
    return {
        "five_types_macro_f1_ratio": macro_f1(truth, among_five, weights[:, chosen], len(columns)),
        "all_types_macro_f1_ratio": macro_f1(truth, among_all, weights[:, chosen], len(columns)),
    }


def _by_score(score: Floats, positive: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """Weights (r, u) of the positive and of the others at each of the u different scores, in rising order."""
    if not len(score):
        nothing = np.zeros((len(weights), 0))
        return nothing, nothing
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ours = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    others = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    return ours, others


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))
