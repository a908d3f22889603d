"""Measures one classifier of a comparison."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from scipy.stats import binomtest

from trainer.comparison.candidates import SHIFTS_COUNT, Candidate, MeasuredPart
from trainer.comparison.classifier import ComparedClassifier, Fields
from trainer.comparison.results import Row
from trainer.errors import WeightsError
from trainer.evaluation.intervals import group_interval
from trainer.files import write_json
from trainer.progress import console

TIMED_COUNT = 40


def measure_row(out: Path, candidate: Candidate, validation: MeasuredPart, test: MeasuredPart) -> Row:
    """Fit the candidate and measure it, or read the row of an earlier, unfinished comparison from ``out``.

    Candidates without weights get a row with the reason.
    """
    slug = re.sub(r"[^a-z0-9.]+", "-", f"{candidate.name} {candidate.sees}".lower()).strip("-")
    path = out / f"{slug}.row.json"
    # A damaged row is measured again.
    with suppress(OSError, ValidationError):
        if candidate.keep:
            return Row.model_validate_json(path.read_bytes())
    console.print(f"{candidate.name} ({candidate.sees})")
    try:
        classifier = candidate.make()
    except WeightsError as error:
        return Row(name=candidate.name, sees=candidate.sees, reason=error.message)
    right = {
        name: classifier.scores(fields).argmax(axis=1)
        == np.tile(part.clean.labels, len(fields) // len(part.clean.labels))
        for name, part, fields in (
            ("validation_ratio", validation, validation.clean.fields),
            ("validation_shifted_ratio", validation, validation.shifted),
            ("test_ratio", test, test.clean.fields),
            ("test_shifted_ratio", test, test.shifted),
        )
    }
    clean = right["test_ratio"]
    wilson = binomtest(int(clean.sum()), len(clean)).proportion_ci(method="wilson")
    row = Row(
        name=candidate.name,
        sees=candidate.sees,
        **{name: float(each.mean()) for name, each in right.items()},
        test_interval_ratio=(float(wilson.low), float(wilson.high)),
        test_shifted_interval_ratio=group_interval(right["test_shifted_ratio"], np.tile(test.groups, SHIFTS_COUNT)),
        size_bytes=classifier.size_bytes,
        latency_ms=_latency_ms(classifier, test.clean.fields[:TIMED_COUNT]),
    )
    if candidate.keep:
        write_json(path, row)
    return row


def _latency_ms(classifier: ComparedClassifier, fields: Fields) -> float:
    took_s = []
    for field in fields:
        began = time.perf_counter()
        classifier.scores(field[None])
        took_s.append(time.perf_counter() - began)
    return 1e3 * float(np.median(took_s))
