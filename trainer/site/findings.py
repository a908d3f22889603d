"""Measures what a report says beside the head's own figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.classifier import softmax
from edge_agent.inference.familiarity import Familiarity
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.evaluation.foreign import measure_foreign
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples
from trainer.site.features import SiteFeatures
from trainer.site.fitting import Linear, fit_linear
from trainer.site.give_aways import find_give_aways
from trainer.site.learning_curve import LearningCurve, measure_learning_curve
from trainer.site.mistakes import find_mistakes, write_contact_sheet
from trainer.site.picture import PictureMeter
from trainer.site.refusals import Refusals, foreign_refusals, own_refusals
from trainer.site.shifts import SiteShift, measure_site_shifts
from trainer.site.summary import CONTACT_SHEET_FILE, Findings
from trainer.site.validation import fit_site_familiarity


def measure_findings(
    examples: Examples,
    features: SiteFeatures,
    validation: CrossValidation,
    meter: PictureMeter,
    *,
    report: Path | None = None,
    seed: int = 0,
) -> Findings:
    """All but how the pictures of others are refused, for which the head must be written first.

    The contact sheet goes to the folder ``report``. Raises ``OutputUnwritable`` or ``InferenceError``.
    """
    mistakes = find_mistakes(examples, validation)
    if mistakes and report is not None:
        write_contact_sheet(report / CONTACT_SHEET_FILE, mistakes, examples, features.thumbnails)
    return Findings(
        learning_curve=_learning_curve(examples, features, validation, seed),
        give_aways=find_give_aways(examples, features, validation.folds, seed=seed),
        mistakes=mistakes,
        contact_sheet=CONTACT_SHEET_FILE if mistakes and report is not None else None,
        shifts=_shifts(examples, features, validation, meter, seed),
        own_refusals=own_refusals(examples, features, validation),
    )


def measure_foreign_refusals(bundle: str, head: Path, folders: Sequence[Path]) -> tuple[Refusals, ...]:
    """How the agent itself refuses the pictures of ``folders`` with a written head. Raises ``DataError``."""
    analyzer = BundleAnalyzer(Classifier(load_bundle(bundle), head=head))
    return foreign_refusals(measure_foreign(analyzer, folders))


def _learning_curve(
    examples: Examples, features: SiteFeatures, validation: CrossValidation, seed: int
) -> LearningCurve:
    # Choosing anew for each refit would take too long, and how much C changes the accuracy is little.
    regularisation = float(np.median(validation.regularisations))
    values, labels, count = features.features, examples.labels, len(examples.codes)

    def refit(train: NDArray[np.intp], test: NDArray[np.intp]) -> NDArray[np.float64]:
        return fit_linear(values[train], labels[train], count, regularisation).logits(values[test])

    return measure_learning_curve(labels, examples.groups, examples.codes, validation.splits, refit, seed=seed)


def _shifts(
    examples: Examples, features: SiteFeatures, validation: CrossValidation, meter: PictureMeter, seed: int
) -> tuple[SiteShift, ...]:
    @cache
    def models(fold: int) -> tuple[Linear, Familiarity]:
        own = validation.folds != fold
        values, labels = features.features[own], examples.labels[own]
        linear = fit_linear(values, labels, len(examples.codes), validation.regularisations[fold])
        return linear, fit_site_familiarity(values, features.varied[own])

    def judge(fold: int, values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        linear, familiarity = models(fold)
        probabilities = softmax(linear.logits(values), validation.temperature)
        return probabilities, familiarity.distances(values).astype(np.float64)

    return measure_site_shifts(examples, validation, meter.describe, judge, seed=seed)
