"""Nested cross-validation by groups: each picture is judged by a head that was fitted without its group."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference.familiarity import Familiarity
from edge_agent.inference.probabilities import softmax
from trainer.errors import DataError
from trainer.site.cross_validation import CrossValidation, FoldHead
from trainer.site.fitting import choose_regularisation, fit_linear
from trainer.site.folds import MIN_GROUPS, divide, folds_count
from trainer.site.progress import Progress, each_of, silent
from trainer.training.familiarity import fit_familiarity
from trainer.training.temperature import fit_temperature
from trainer.training.thresholds import choose_threshold

FOLDS = 5
MIN_PICTURES = 4
"""Fewest pictures of a class for its figures. Other classes are fitted to as well, and keep the head provisional."""
OWN_REFUSED_RATIO = 0.04
"""Largest share of the held-out pictures that is unfamiliar.

It is a little over half of what is allowed on pictures never seen, 7 %."""
VALIDATION_STARTS, VALIDATION_ENDS = 0.7, 0.8
"""Start and end of this stage on the progress bar."""


def check_enough(labels: NDArray[np.int64], groups: NDArray[np.int64], codes: tuple[str, ...]) -> None:
    """Raise ``DataError`` unless two classes or more have enough pictures and groups (n,) to be cross-validated."""
    lacking = [_lacking(labels == index, groups, code) for index, code in enumerate(codes)]
    if sum(not each for each in lacking) < 2:
        raise DataError(
            f"two classes or more must have enough pictures to be tested. {' '.join(each for each in lacking if each)}",
            remedy="Label more pictures, of several specimens; 20 of each class are a good start.",
        )


def _lacking(own: NDArray[np.bool_], groups: NDArray[np.int64], code: str) -> str:
    """What the pictures ``own`` (n,) of a class lack, as a sentence; empty if nothing is lacking."""
    if own.sum() < MIN_PICTURES:
        return f"Class {code} has {own.sum()} pictures; at least {MIN_PICTURES} are needed."
    if len(np.unique(groups[own])) < MIN_GROUPS:
        return (
            f"All {own.sum()} pictures of class {code} belong together: they are of one specimen, or were taken at one "
            "time. No figure on other specimens can be found from them."
        )
    return ""


def cross_validate(
    features: NDArray[np.float32],
    varied: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    codes: tuple[str, ...],
    *,
    whole_field_ratio: float = 1.0,
    seed: int = 0,
    progress: Progress = silent,
) -> CrossValidation:
    """Cross-validate heads on features (n, f), their variants (n, v, f), labels and groups (n,) each.

    ``whole_field_ratio`` is the ratio of the kind of features.
    Raises ``DataError`` as ``check_enough`` does.
    """
    check_enough(labels, groups, codes)
    classes = len(codes)
    folds = min(FOLDS, folds_count(labels, groups))
    divided = divide(labels, groups, folds, seed)
    logits = np.zeros((len(labels), classes))
    varied_logits = np.zeros((*varied.shape[:2], classes))
    unfamiliarity = np.zeros(len(labels))
    known = np.zeros(len(labels), np.bool_)
    regularisations = []
    heads = []
    for fold in each_of(range(folds), progress, "validating", VALIDATION_STARTS, VALIDATION_ENDS):
        held_out = divided == fold
        own = ~held_out
        regularisation = choose_regularisation(features[own], varied[own], labels[own], groups[own], classes, seed)
        linear = fit_linear(features[own], varied[own], labels[own], classes, regularisation)
        known[held_out] = np.isin(labels[held_out], labels[own])
        logits[held_out] = linear.logits(features[held_out])
        varied_logits[held_out] = linear.logits(varied[held_out])
        familiarity = fit_site_familiarity(features[own], varied[own], whole_field_ratio)
        unfamiliarity[held_out] = familiarity.distances(features[held_out])
        regularisations.append(regularisation)
        heads.append(FoldHead(linear.weights, linear.bias, familiarity))
    # Pictures of a class that a fold could not know say nothing of its confidence; they count as wrong in all figures.
    temperature = fit_temperature(logits[known], labels[known])
    probabilities = softmax(logits, temperature)
    shifted = softmax(varied_logits, temperature).max(axis=-1).reshape(-1)
    confidence = probabilities.max(axis=1)
    return CrossValidation(
        logits=logits,
        temperature=temperature,
        probabilities=probabilities,
        folds=divided,
        regularisations=tuple(regularisations),
        unfamiliarity=unfamiliarity,
        max_unfamiliarity_score=choose_limit(unfamiliarity),
        min_confidence_ratio=choose_threshold(confidence, shifted if shifted.size else confidence),
        heads=tuple(heads),
    )


def fit_site_familiarity(
    features: NDArray[np.float32], varied: NDArray[np.float32], whole_field_ratio: float
) -> Familiarity:
    """The Gaussian of the features (n, f), and their variants (n, v, f), that describe the field as a whole.

    The other features have no weight in the distance. With them, fields of another laboratory would be refused less
    often: their cells' similarity would outweigh everything else.
    """
    size = features.shape[1]
    count = round(whole_field_ratio * size)
    everything = np.concatenate([features, varied.reshape(-1, size)])
    whole = fit_familiarity(everything[:, :count])
    whitening = np.zeros((size, size), np.float32)
    whitening[:count, :count] = whole.whitening
    mean = everything.mean(axis=0, dtype=np.float64).astype(np.float32)
    mean[:count] = whole.mean
    return Familiarity(mean, whitening)


def choose_limit(unfamiliarity: NDArray[np.floating]) -> float:
    """The lowest limit above which at most ``OWN_REFUSED_RATIO`` of held-out scores (n,) lie, rounded up."""
    ranked = np.sort(unfamiliarity)[::-1]
    return math.ceil(float(ranked[math.floor(OWN_REFUSED_RATIO * len(ranked))]) * 1000) / 1000
