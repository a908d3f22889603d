"""Combines the folds: every image once, judged by the model that never saw its like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.intervals import wilson_interval
from trainer.cross_validation.folds import groups_of
from trainer.cross_validation.plan import Plan
from trainer.cross_validation.results import CrossValidated, FoldFigures, FoldResult, HeldOutImage
from trainer.data.description import Description
from trainer.data.split import Assignment
from trainer.evaluation.intervals import group_interval
from trainer.evaluation.metrics import measure_answers


def pool_folds(
    results: Sequence[FoldResult], assignments: Sequence[Assignment], described: Description, plan: Plan
) -> CrossValidated:
    """Figures of all images together and of each fold.

    Intervals are by groups of images that are alike. They say how much the figures could differ with other images of
    this kind, not with another training: the models of the folds share most of their images.
    """
    images = [image for result in results for image in result.images]
    group_of = dict(zip([each.file.path for each in assignments], groups_of(assignments).tolist(), strict=True))
    groups = np.array([group_of[image.path] for image in images], np.int64)
    truth = _truth(images, described)
    probabilities = np.array([image.probabilities for image in images])
    answered = np.array([image.reason is None for image in images])
    draws = results[0].draws
    figures = measure_answers(
        probabilities, truth, [each.label for each in described.classes], answered, groups=groups, seed=plan.seed
    )
    shifted = np.concatenate([[image.shifted_right_count > draw for image in images] for draw in range(draws)])
    return CrossValidated(
        dataset=described.name,
        images_count=len(images),
        groups_count=len(np.unique(groups)),
        seed=plan.seed,
        recipe=plan.recipe,
        figures=figures,
        shifted_accuracy_ratio=float(shifted.mean()),
        shifted_accuracy_interval_ratio=group_interval(shifted, np.tile(groups, draws), seed=plan.seed),
        shifted_answered_ratio=float(np.mean([image.shifted_answered_count for image in images]) / draws),
        folds=tuple(_fold(result, described) for result in results),
    )


def _fold(result: FoldResult, described: Description) -> FoldFigures:
    right = np.array([image.probabilities for image in result.images]).argmax(axis=1) == _truth(
        result.images, described
    )
    return FoldFigures(
        fold=result.fold,
        images_count=len(result.images),
        accuracy_ratio=float(right.mean()),
        accuracy_interval_ratio=wilson_interval(int(right.sum()), len(right)),
        shifted_accuracy_ratio=float(np.mean([image.shifted_right_count for image in result.images]) / result.draws),
        refused_ratio=float(np.mean([image.reason is not None for image in result.images])),
    )


def _truth(images: Sequence[HeldOutImage], described: Description) -> NDArray[np.int64]:
    return np.array([described.codes.index(image.label) for image in images], np.int64)
