"""'trainer probe': how well frozen features classify subjects never seen in training, against a random split.

A random split shows the classifier other cells of the same subjects, and so flatters it. To measure by how much, cells
of two subjects, one malignant and one not, are ranked against each other: once by a classifier that saw neither
subject, once by one that saw other cells of both. Ranking within pairs does not need the scores of different
classifiers to be comparable; pooling scores over subjects would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_agent.settings import Settings
from trainer.data.dataset import Dataset
from trainer.data.description import Description
from trainer.data.listing import list_images
from trainer.errors import DataError
from trainer.evaluation.intervals import RESAMPLES, percentile_interval
from trainer.evaluation.metrics import auroc
from trainer.progress import track

FOLDS = 10
# Strong regularisation: there are about as many features as images of a few subjects.
_INVERSE_REGULARISATION = 1e-3
_ITERATIONS = 500

Floats = NDArray[np.floating]


class Ranking(Settings):
    """How well malignant cells are ranked above others."""

    auroc_ratio: float
    auroc_interval_ratio: tuple[float, float] = Field(description="95 %, bootstrap over subjects.")


class Probe(Settings):
    """What 'trainer probe' measured."""

    dataset: str
    images_count: int
    malignant_subjects_count: int
    other_subjects_count: int
    subject_disjoint: Ranking = Field(description="By classifiers that saw neither of the two subjects ranked.")
    random_split: Ranking = Field(description="By classifiers that saw other cells of both.")
    gap_ratio: float = Field(description="Random minus disjoint: by how much the random split is too optimistic.")
    gap_interval_ratio: tuple[float, float] = Field(description="95 %, the same subjects drawn for both.")


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """AUROC of each malignant subject's cells against each other subject's, and the numbers of pairs of cells."""

    areas: NDArray[np.float64]
    """(malignant subjects, other subjects)."""
    weights: NDArray[np.float64]
    """The number of pairs of cells, in the shape of ``areas``."""

    def ranking(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> float:
        """AUROC over all the cells of the subjects drawn."""
        chosen = np.ix_(rows, columns)
        return float(np.average(self.areas[chosen], weights=self.weights[chosen]))


def probe(features: Floats, dataset: Dataset, description: Description, *, seed: int = 0) -> Probe:
    """Rank cells by a linear classifier on ``features`` (n, d) of the data set's images.

    Raises ``DataError`` unless every image has a group and every group is either malignant or not, with two of a kind.
    """
    malignant_codes = {each.code for each in description.classes if each.malignant}
    malignant = np.array([file.label in malignant_codes for file in dataset.files])
    subjects = _subjects([file.group for file in dataset.files])
    malignant_subjects, other_subjects = _by_kind(subjects, malignant)
    weights = np.outer(
        [(subjects == each).sum() for each in malignant_subjects], [(subjects == each).sum() for each in other_subjects]
    )
    disjoint = Pairs(_disjoint_areas(features, malignant, subjects, malignant_subjects, other_subjects), weights)
    folds = StratifiedKFold(min(FOLDS, *np.bincount(malignant).tolist()), shuffle=True, random_state=seed)
    scores = cross_val_predict(_classifier(), features, malignant, cv=folds, method="decision_function")
    random = Pairs(
        np.array(
            [[_pair_auroc(scores, malignant, subjects, a, b) for b in other_subjects] for a in malignant_subjects]
        ),
        weights,
    )
    rng = np.random.default_rng(seed)
    drawn = np.array(
        [
            (disjoint.ranking(rows, columns), random.ranking(rows, columns))
            for rows, columns in (
                (
                    rng.integers(len(malignant_subjects), size=len(malignant_subjects)),
                    rng.integers(len(other_subjects), size=len(other_subjects)),
                )
                for _ in range(RESAMPLES)
            )
        ]
    )
    everyone = np.arange(len(malignant_subjects)), np.arange(len(other_subjects))
    areas = disjoint.ranking(*everyone), random.ranking(*everyone)
    return Probe(
        dataset=description.name,
        images_count=len(malignant),
        malignant_subjects_count=len(malignant_subjects),
        other_subjects_count=len(other_subjects),
        subject_disjoint=Ranking(auroc_ratio=areas[0], auroc_interval_ratio=_interval(drawn[:, 0])),
        random_split=Ranking(auroc_ratio=areas[1], auroc_interval_ratio=_interval(drawn[:, 1])),
        gap_ratio=areas[1] - areas[0],
        gap_interval_ratio=_interval(drawn[:, 1] - drawn[:, 0]),
    )


def check_subjects(data: Path, description: Description, table: Path) -> None:
    """Raise ``DataError`` unless every image that ``table`` lists has a group; no image is read."""
    _subjects([listed.group for listed in list_images(data, description, table)])


def _subjects(groups: Sequence[str | None]) -> NDArray[np.str_]:
    if None in groups:
        raise DataError(
            f"{groups.count(None)} of {len(groups)} images have no group.",
            remedy="Give --table with the subject of every image in the column group.",
        )
    return np.array(groups, dtype=str)


def _by_kind(subjects: NDArray[np.str_], malignant: NDArray[np.bool_]) -> tuple[list[str], list[str]]:
    malignant_subjects = sorted(set(subjects[malignant].tolist()))
    other_subjects = sorted(set(subjects[~malignant].tolist()))
    if both := sorted(set(malignant_subjects) & set(other_subjects)):
        raise DataError(f"group {both[0]} has malignant and other images; a subject must be one or the other.")
    if min(len(malignant_subjects), len(other_subjects)) < 2:
        raise DataError(
            f"there are {len(malignant_subjects)} malignant group(s) and {len(other_subjects)} other(s).",
            remedy="Give two of each or more, so that one of each can be left out.",
        )
    return malignant_subjects, other_subjects


def _disjoint_areas(
    features: Floats,
    malignant: NDArray[np.bool_],
    subjects: NDArray[np.str_],
    malignant_subjects: Sequence[str],
    other_subjects: Sequence[str],
) -> NDArray[np.float64]:
    areas = np.empty((len(malignant_subjects), len(other_subjects)))
    for row, column in track(list(np.ndindex(areas.shape)), "Leaving two subjects out"):
        left_out = np.isin(subjects, (malignant_subjects[row], other_subjects[column]))
        classifier = _classifier().fit(features[~left_out], malignant[~left_out])
        scores = np.empty(len(subjects))
        scores[left_out] = classifier.decision_function(features[left_out])
        areas[row, column] = _pair_auroc(scores, malignant, subjects, malignant_subjects[row], other_subjects[column])
    return areas


def _pair_auroc(
    scores: Floats, malignant: NDArray[np.bool_], subjects: NDArray[np.str_], first: str, second: str
) -> float:
    pair = np.isin(subjects, (first, second))
    area = auroc(scores[pair], malignant[pair])
    if area is None:
        raise DataError(f"groups {first} and {second} are of one kind.")
    return area


def _classifier() -> Pipeline:
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(C=_INVERSE_REGULARISATION, class_weight="balanced", max_iter=_ITERATIONS),
    )


def _interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    interval = percentile_interval(drawn)
    if interval is None:
        raise DataError("no resample of the subjects has a figure.")
    return interval
