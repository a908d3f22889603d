"""The linear baseline: logistic regression on frozen ImageNet features, with the same laboratories left out.

It shows how much of a figure is due to the network: anyone with an hour and no ideas gets this far.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_agent.settings import Settings
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import TYPES, Meaning, Sources, Use
from trainer.cells.laboratories.splits import Fold, Half, assign_halves, leave_one_out, sampling_weights
from trainer.many_laboratories.judged import Judged, JudgedCell
from trainer.many_laboratories.measures import MATURE, area, macro_f1
from trainer.progress import track

INVERSE_REGULARISATIONS = (1e-4, 1e-3, 1e-2)
"""The strengths from which validation chooses, separately for blasts and for types."""

_ITERATIONS, _TOLERANCE = 1000, 1e-3

Floats = NDArray[np.floating]


class Baseline(Settings):
    """What the chosen classifiers say."""

    judged: tuple[Judged, ...] = Field(
        description="Of each laboratory that was left out (its test half) or is for testing (all of it)."
    )
    blast_inverse_regularisation: float
    types_inverse_regularisation: float


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    blast_ratio: NDArray[np.float64]
    """(n,), for all cells."""
    types_ratio: NDArray[np.float64]
    """(n, 9): how likely each type is, whatever ``blast_ratio`` says."""


def judge_by_baseline(
    cells: Sequence[ListedCell],
    features: Floats,
    sources: Sources,
    scales: Mapping[str, tuple[str, float]],
    paths: Sequence[str],
) -> Baseline:
    """Fit with each laboratory left out, and with none, on ``features`` (n, d) of the n ``cells`` of all laboratories.

    Validation halves of the laboratories left out choose one regularisation for all of them. ``scales`` has for each
    laboratory the agent's finding and how much a picture shows; ``paths`` are those below the data folder.
    """
    folds = list(leave_one_out(cells, sources))
    for_training = {each.code for each in sources.laboratories if each.use is Use.TRAINING}
    fits = list(itertools.product(INVERSE_REGULARISATIONS, folds))
    said = [
        (_fit_blasts(cells, features, fold.training, each), _fit_types(cells, features, fold.training, each))
        for each, fold in track(fits, "Fitting the linear baseline")
    ]
    by_choice = {each: said[at * len(folds) : (at + 1) * len(folds)] for at, each in enumerate(INVERSE_REGULARISATIONS)}
    blasts = max(by_choice, key=lambda each: _validate_blasts(cells, folds, [one for one, _ in by_choice[each]]))
    types = max(by_choice, key=lambda each: _validate_types(cells, folds, [other for _, other in by_choice[each]]))
    together = [_Said(one[0], other[1]) for one, other in zip(by_choice[blasts], by_choice[types], strict=True)]
    everything = np.flatnonzero([each.is_nucleated and each.laboratory in for_training for each in cells])
    of_all = _Said(_fit_blasts(cells, features, everything, blasts), _fit_types(cells, features, everything, types))
    halves = np.array(assign_halves(cells), str)
    laboratories = np.array([each.laboratory for each in cells], str)
    judged = [
        _judged(cells, paths, np.flatnonzero((laboratories == fold.laboratory) & (halves == Half.TEST)), each, scales)
        for fold, each in zip(folds, together, strict=True)
    ]
    judged += [
        _judged(cells, paths, np.flatnonzero(laboratories == code), of_all, scales)
        for code in sorted({each.laboratory for each in cells} - for_training)
    ]
    return Baseline(judged=tuple(judged), blast_inverse_regularisation=blasts, types_inverse_regularisation=types)


def _classifier(inverse_regularisation: float) -> Pipeline:
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(C=inverse_regularisation, max_iter=_ITERATIONS, tol=_TOLERANCE, random_state=0),
    )


def _fit_blasts(
    cells: Sequence[ListedCell], features: Floats, training: NDArray[np.int64], regularisation: float
) -> NDArray[np.float64]:
    """The probability of each of all cells that it is a blast, (n,)."""
    blast = np.array([each.is_blast is True for each in cells])
    classifier = _classifier(regularisation)
    classifier.fit(features[training], blast[training], logisticregression__sample_weight=_often(cells, training))
    return np.asarray(classifier.predict_proba(features)[:, 1], np.float64)


def _fit_types(
    cells: Sequence[ListedCell], features: Floats, training: NDArray[np.int64], regularisation: float
) -> NDArray[np.float64]:
    """The probability of each type for each of all cells, (n, 9)."""
    types = np.array([TYPES.index(each.type) if each.type is not None else -1 for each in cells])
    own = training[types[training] >= 0]
    classifier = _classifier(regularisation)
    classifier.fit(features[own], types[own], logisticregression__sample_weight=_often(cells, own))
    ratios = np.zeros((len(cells), len(TYPES)))
    ratios[:, classifier.classes_] = classifier.predict_proba(features)
    return ratios


def _often(cells: Sequence[ListedCell], training: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights: types and laboratories count as they are drawn in the training of the network."""
    return sampling_weights([cells[at] for at in training]) * len(training)


def _validate_blasts(cells: Sequence[ListedCell], folds: Sequence[Fold], said: Sequence[NDArray[np.float64]]) -> float:
    """Mean area over the laboratories that have blasts and others."""
    found = []
    for fold, blast_ratio in zip(folds, said, strict=True):
        own = np.array([at for at in fold.validation if cells[at].is_nucleated], np.int64)
        blast = np.array([cells[at].is_blast is True for at in own], bool)
        found.append(area(blast_ratio[own], blast, np.ones((1, len(own))))[0])
    return _mean(found)


def _validate_types(cells: Sequence[ListedCell], folds: Sequence[Fold], said: Sequence[NDArray[np.float64]]) -> float:
    """Mean macro F1 over the laboratories that have all mature types."""
    columns = [TYPES.index(each) for each in MATURE]
    found = []
    for fold, types_ratio in zip(folds, said, strict=True):
        own = np.array([at for at in fold.validation if cells[at].type in MATURE], np.int64)
        truth = np.array([MATURE.index(cells[at].meaning) for at in own], np.int64)
        if len(np.unique(truth)) == len(MATURE):
            named = types_ratio[own][:, columns].argmax(axis=1)
            found.append(macro_f1(truth, named, np.ones((1, len(own))), len(MATURE))[0])
    return _mean(found)


def _mean(values: Sequence[float]) -> float:
    """The mean of the values that are defined; 0 if none is, so that any choice is as good."""
    defined = [each for each in values if np.isfinite(each)]
    return float(np.mean(defined)) if defined else 0.0


def _judged(
    cells: Sequence[ListedCell],
    paths: Sequence[str],
    own: NDArray[np.int64],
    said: _Said,
    scales: Mapping[str, tuple[str, float]],
) -> Judged:
    """The answers as a bundle's that refuses nothing: one classifier for blasts, the other among the other types."""
    laboratory = cells[own[0]].laboratory
    probabilities = said.types_ratio[own].copy()
    blast = TYPES.index(Meaning.BLAST)
    probabilities[:, blast] = 0
    probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    probabilities *= 1 - said.blast_ratio[own][:, None]
    probabilities[:, blast] = said.blast_ratio[own]
    scale, side_um = scales[laboratory]
    return Judged(
        laboratory=laboratory,
        part="all" if len(own) == sum(each.laboratory == laboratory for each in cells) else Half.TEST.value,
        model=None,
        scale=scale,
        side_um=side_um,
        labels=tuple(each.value for each in TYPES),
        cells=tuple(
            JudgedCell(
                path=paths[at],
                meaning=cells[at].meaning,
                group=cells[at].group,
                type=TYPES[int(ratios.argmax())].value,
                refusal=None,
                probabilities=tuple(ratios.tolist()),
                blast_ratio=float(ratios[blast]),
                unfamiliarity_score=None,
            )
            for at, ratios in zip(own.tolist(), probabilities, strict=True)
        ),
    )
