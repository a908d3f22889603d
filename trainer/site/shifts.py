"""Measures a head on the site's own held-out pictures when light, colour, focus or scale differ a little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.contracts import Reason
from edge_agent.errors import ImageError
from edge_agent.intervals import wilson_interval
from edge_agent.settings import Settings
from trainer.augmentation import optics
from trainer.augmentation.moderate_shift import shift_moderately
from trainer.evaluation.shifts import MODERATE, Shift
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples

MAX_IMAGES = 32
"""Pictures that are shifted, drawn evenly from the classes: each shift of each picture is a run of the network."""
UNSHIFTED = "as they are"

Pixels = NDArray[np.uint8]
Describe = Callable[[Pixels], tuple[NDArray[np.float32], bool]]
"""Features (f,) of a field, uint8 RGB (h, w, 3), and whether the device would reject it without asking the network."""
See = Callable[[bytes], Pixels]
"""The field of an image file, uint8 RGB (h, w, 3). Raises ``ImageError``."""
Judge = Callable[[int, NDArray[np.float32]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Probabilities (m, c) and unfamiliarity (m,) of features (m, f), by the model of the fold with this number."""


class SiteShift(Settings):
    """One row of the table of shifts."""

    shift: str
    strength: str
    images_count: int
    accuracy_ratio: float = Field(description="Share whose likeliest class is theirs, refused or not.")
    accuracy_interval_ratio: tuple[float, float] = Field(description="95 % Wilson interval.")
    refused_ratio: float
    refusals: dict[str, int] = Field(description="How many were refused: rejected, unfamiliar or low_confidence.")


def site_shifts() -> tuple[Shift, ...]:
    """The changes at a site from day to day: each alone, then all at once."""
    return (
        Shift(UNSHIFTED, "", lambda field, _: field),
        Shift("darker", "x0.8", lambda field, _: optics.brighten(field, 0.8)),
        Shift("brighter", "x1.2", lambda field, _: optics.brighten(field, 1.2)),
        Shift("white balance", "+-10 % per channel", _tint, random=True),
        Shift("stain", "+-20 % per dye", _stain, random=True),
        Shift("blur", "sigma 1 px", lambda field, _: optics.blur(field, 1.0)),
        Shift("JPEG", "quality 50", lambda field, _: optics.jpeg(field, 50)),
        Shift("smaller", "x0.85", lambda field, _: optics.zoom_rotate(field, 0.85, 0.0)),
        Shift("larger", "x1.15", lambda field, _: optics.zoom_rotate(field, 1.15, 0.0)),
        Shift(MODERATE, "and any rotation", shift_moderately, random=True),
    )


def _tint(field: Pixels, rng: np.random.Generator) -> Pixels:
    return optics.white_balance(field, rng.uniform(0.9, 1.1, 3))


def _stain(field: Pixels, rng: np.random.Generator) -> Pixels:
    return optics.stain(field, rng.uniform(0.8, 1.2, 3), np.zeros(3))


def measure_site_shifts(
    examples: Examples,
    validation: CrossValidation,
    see: See,
    describe: Describe,
    judge: Judge,
    *,
    max_images: int = MAX_IMAGES,
    shifts: Sequence[Shift] | None = None,
    seed: int = 0,
) -> tuple[SiteShift, ...]:
    """One row per shift of at most ``max_images`` pictures, each judged by the fold that was fitted without it.

    Pictures that can no longer be read are left out; there is no row if none can.
    """
    fields: list[Pixels] = []
    chosen: list[int] = []
    for index in choose_evenly(examples.labels, max_images, seed):
        try:
            field = see((examples.folder / examples.files[index].path).read_bytes())
        except (ImageError, OSError):
            continue
        fields.append(field)
        chosen.append(index)
    if not chosen:
        return ()
    return tuple(
        _measure(shift, fields, np.array(chosen), examples.labels, validation, describe, judge, seed)
        for shift in (site_shifts() if shifts is None else shifts)
    )


def choose_evenly(labels: NDArray[np.int64], max_count: int, seed: int) -> list[int]:
    """Indices of at most ``max_count`` examples, drawn as evenly from the classes of ``labels`` (n,) as possible."""
    rng = np.random.default_rng(seed)
    # The first of each class, then the second of each, and so on.
    ranks = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        ranks[rng.permutation(members)] = np.arange(len(members))
    return sorted(np.lexsort((labels, ranks))[:max_count].tolist())


def _measure(
    shift: Shift,
    fields: Sequence[Pixels],
    chosen: NDArray[np.int64],
    labels: NDArray[np.int64],
    validation: CrossValidation,
    describe: Describe,
    judge: Judge,
    seed: int,
) -> SiteShift:
    generators = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(len(fields))]
    described = [describe(shift.apply(field, rng)) for field, rng in zip(fields, generators, strict=True)]
    features = np.stack([each for each, _ in described])
    rejected = np.array([is_rejected for _, is_rejected in described])
    probabilities = np.zeros((len(chosen), validation.probabilities.shape[1]))
    unfamiliarity = np.zeros(len(chosen))
    for fold in np.unique(validation.folds[chosen]).tolist():
        held_out = validation.folds[chosen] == fold
        probabilities[held_out], unfamiliarity[held_out] = judge(fold, features[held_out])
    right = probabilities.argmax(axis=1) == labels[chosen]
    reasons = np.select(
        [
            rejected,
            unfamiliarity > validation.max_unfamiliarity_score,
            probabilities.max(axis=1) < validation.min_confidence_ratio,
        ],
        ["rejected", Reason.UNFAMILIAR.value, Reason.LOW_CONFIDENCE.value],
        "",
    )
    refusals = Counter(reasons[reasons != ""].tolist())
    return SiteShift(
        shift=shift.name,
        strength=shift.strength,
        images_count=len(chosen),
        accuracy_ratio=float(right.mean()),
        accuracy_interval_ratio=wilson_interval(int(right.sum()), len(right)),
        refused_ratio=refusals.total() / len(chosen),
        refusals=dict(refusals.most_common()),
    )
