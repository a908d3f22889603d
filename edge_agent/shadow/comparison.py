"""Compares the answers of two models for the same fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import AgreementFigures, Label, Outcome, Percentiles
from edge_agent.intervals import wilson_interval


class Comparison:
    """Counts of readings by two models, each of the same frame. Belongs to one thread at a time."""

    def __init__(self) -> None:
        self.compared_count = 0
        self.unfit_count = 0
        self._agreeing_count = 0
        self._both_classified_count = 0
        self._other_label_count = 0
        self._labels_comparable: bool | None = None
        self._active_refusals: Counter[str] = Counter()
        self._candidate_refusals: Counter[str] = Counter()

    def add(self, active: Reading, candidate: Reading) -> bool | None:
        """Count a pair. Returns whether the two agree, None for a frame that neither could judge."""
        if not (_judged(active) or _judged(candidate)):
            self.unfit_count += 1
            return None
        self.compared_count += 1
        self._active_refusals.update(_refusal(active))
        self._candidate_refusals.update(_refusal(candidate))
        agrees = active.outcome is candidate.outcome
        if agrees and active.outcome is Outcome.CLASSIFIED:
            self._both_classified_count += 1
            self._labels_comparable = _codes(active.labels) == _codes(candidate.labels)
            if self._labels_comparable and active.label != candidate.label:
                self._other_label_count += 1
                agrees = False
        self._agreeing_count += agrees
        return agrees

    def figures(self) -> AgreementFigures:
        """The counts so far."""
        low, high = wilson_interval(self._agreeing_count, self.compared_count)
        return AgreementFigures(
            compared_count=self.compared_count,
            unfit_count=self.unfit_count,
            agreeing_count=self._agreeing_count,
            agreement_ratio=round(self._agreeing_count / self.compared_count, 4) if self.compared_count else None,
            agreement_low_ratio=round(low, 4),
            agreement_high_ratio=round(high, 4),
            labels_comparable=self._labels_comparable,
            both_classified_count=self._both_classified_count,
            other_label_count=self._other_label_count,
            active_refused_count=self._active_refusals.total(),
            candidate_refused_count=self._candidate_refusals.total(),
            active_refusals_count=dict(sorted(self._active_refusals.items())),
            candidate_refusals_count=dict(sorted(self._candidate_refusals.items())),
        )


def percentiles(samples_ms: Sequence[float]) -> Percentiles | None:
    """Percentiles of latencies, with linear interpolation between samples; None without any."""
    if not samples_ms:
        return None
    p50, p95, p99 = (round(float(value), 3) for value in np.percentile(np.asarray(samples_ms), [50, 95, 99]))
    return Percentiles(p50_ms=p50, p95_ms=p95, p99_ms=p99, samples_count=len(samples_ms))


def _judged(reading: Reading) -> bool:
    return reading.outcome in {Outcome.CLASSIFIED, Outcome.ABSTAINED}


def _refusal(reading: Reading) -> tuple[str, ...]:
    """Why a reading has no label: a reason's code, or an error's with hyphens. Empty if it has a label."""
    if reading.outcome is Outcome.CLASSIFIED:
        return ()
    if reading.reason is not None:
        return (reading.reason.value,)
    return ("failed" if reading.error is None else reading.error.code,)


def _codes(labels: Sequence[Label]) -> set[str]:
    return {label.code for label in labels}
