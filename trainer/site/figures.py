"""The figures of a head on held-out pictures, and the record by which the agent judges it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts.head import ClassFigures, HeadFigures
from edge_agent.contracts.manifest import Baseline, ClassEvidence, Evidence
from edge_agent.intervals import wilson_interval
from trainer.evaluation.intervals import Interval, percentile_interval
from trainer.evaluation.metrics import auroc
from trainer.evaluation.reliability import expected_calibration_error
from trainer.site.certainty import accuracy_interval, design_effect, draw_groups
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples
from trainer.site.folds import MIN_GROUPS
from trainer.site.permutation import PERMUTATIONS, permutation_ratio

_RESAMPLES = 300
"""Resamples for figures that are ranked anew in each resample."""


def measure_figures(examples: Examples, validation: CrossValidation, *, seed: int = 0) -> HeadFigures:
    """Figures of the held-out answers, with intervals by groups."""
    labels, groups = examples.labels, examples.groups
    right = validation.top == labels
    probabilities = validation.probabilities
    confidence = probabilities.max(axis=1)
    low, high = accuracy_interval(right, groups, seed=seed)
    # Nothing can be ranked for a class that is never in both parts of a division.
    ranked = [index for index in range(len(examples.codes)) if len(np.unique(groups[labels == index])) >= MIN_GROUPS]
    areas, gaps = [], []
    for times in draw_groups(groups, seed=seed, resamples=_RESAMPLES):
        drawn = np.repeat(np.arange(len(labels)), times.astype(np.int64))
        areas.append(mean_auroc(probabilities[drawn], labels[drawn], ranked))
        gaps.append(expected_calibration_error(confidence[drawn], right[drawn]))
    area = mean_auroc(probabilities, labels, ranked)
    gap = expected_calibration_error(confidence, right)
    return HeadFigures(
        accuracy_ratio=float(right.mean()),
        accuracy_interval_ratio=(low, high),
        auroc_ratio=area,
        auroc_interval_ratio=None if area is None else _around(area, areas),
        calibration_error_ratio=gap,
        calibration_error_interval_ratio=_around(gap, gaps),
        classes=tuple(
            ClassFigures(
                code=code,
                images_count=int(own.sum()),
                recall_ratio=float(right[own].mean()),
                recall_interval_ratio=accuracy_interval(right[own], groups[own], seed=seed),
            )
            for code, own in ((code, labels == index) for index, code in enumerate(examples.codes))
        ),
        own_refused_ratio=float(validation.unfamiliar.mean()),
    )


def measure_evidence(
    examples: Examples,
    validation: CrossValidation,
    baselines: dict[str, int],
    *,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> Evidence:
    """The record of the held-out answers. ``baselines`` are right answers by the property that each baseline uses."""
    labels, top = examples.labels, validation.top
    right = top == labels
    named = examples.grouping == "specimen"
    return Evidence(
        held_out=f"{len(labels)} images, each judged once by a head fitted without its "
        f"{'specimen' if named else 'group'}; {examples.groups_count} groups",
        classes=tuple(
            ClassEvidence(
                code=code,
                training_images_count=0,
                held_out_images_count=int(own.sum()),
                held_out_right_count=int(right[own].sum()),
                specimens_count=len(np.unique(examples.groups[own])) if named else None,
            )
            for code, own in ((code, labels == index) for index, code in enumerate(examples.codes))
        ),
        permutation_ratio=permutation_ratio(top, labels, examples.groups, seed=seed, permutations=permutations),
        permutations_count=permutations,
        design_effect=design_effect(right, examples.groups),
        baselines=tuple(Baseline(name=name, right_count=count) for name, count in baselines.items()),
    )


def mean_auroc(probabilities: NDArray[np.floating], labels: NDArray[np.int64], classes: Sequence[int]) -> float | None:
    """Mean over ``classes`` of the AUROC of each against the rest; None if one has no picture, or all pictures."""
    areas = [auroc(probabilities[:, index], labels == index) for index in classes]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if len(defined) == len(areas) else None


def _around(value: float, drawn: list[float | None] | list[float]) -> Interval:
    """Percentiles of the defined values, widened to hold the figure itself."""
    found = percentile_interval(np.array([np.nan if each is None else each for each in drawn], np.float64))
    if found is None:
        return wilson_interval(0, 0)
    return min(value, max(0.0, found[0])), max(value, min(1.0, found[1]))
