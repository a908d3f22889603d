"""Measures a bundle when light, colour, focus, compression, scale and orientation differ from the training's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.settings import Settings
from trainer.augmentation import optics
from trainer.augmentation.moderate_shift import shift_moderately
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.evaluation.intervals import group_interval
from trainer.evaluation.options import DRAWS

MODERATE = "all moderate at once"

Pixels = NDArray[np.uint8]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Shift:
    """One controlled change of a field, uint8 RGB (h, w, 3)."""

    name: str
    strength: str
    apply: Callable[[Pixels, Rng], Pixels]
    random: bool = False
    """Whether the change is drawn from a range, so that several draws are worthwhile."""


class ShiftFigures(Settings):
    """One row of the table of shifts."""

    shift: str
    strength: str
    images_count: int = Field(description="Images times draws.")
    top_accuracy_ratio: float = Field(description="Share of right top classes, refused or not.")
    top_accuracy_interval_ratio: tuple[float, float] = Field(description="95 %, bootstrap by groups.")
    answered_ratio: float
    answered_accuracy_ratio: float | None = Field(description="Share of right labels among the answered.")
    refusals: dict[str, int] = Field(description="How many were refused, by reason.")


def all_shifts() -> tuple[Shift, ...]:
    """Each kind of change alone at several strengths, then all moderate changes at once."""
    alone = [
        Shift("none", "", _fixed(lambda field: field)),
        *(Shift("brightness", f"x{by:g}", _fixed(optics.brighten, by)) for by in (0.6, 0.8, 0.9, 1.1, 1.2, 1.4)),
        *(
            Shift("white balance", f"+-{by} % per channel", _around_one(optics.white_balance, by), random=True)
            for by in (5, 10, 20)
        ),
        *(Shift("stain", f"+-{by} % per dye", _around_one(_dyes, by), random=True) for by in (10, 20, 40)),
        *(Shift("blur", f"sigma {by:g} px", _fixed(optics.blur, by)) for by in (0.5, 1.0, 1.5, 2.0)),
        *(Shift("noise", f"sigma {by} levels", _noise(by)) for by in (4, 8)),
        *(Shift("JPEG", f"quality {by}", _fixed(optics.jpeg, by)) for by in (90, 70, 50, 30)),
        *(Shift("scale", f"x{by:g}", _fixed(optics.zoom_rotate, by, 0.0)) for by in (0.7, 0.85, 1.15, 1.3)),
        Shift("rotation", "any", _rotate, random=True),
        *(Shift("vignetting", f"{100 * by:g} %", _fixed(optics.vignette, by)) for by in (0.2, 0.4)),
    ]
    together = "brightness x0.8-1.2, white balance +-10 %, blur 1 px, JPEG 50, scale x0.85-1.15, any rotation"
    return (*alone, Shift(MODERATE, together, shift_moderately, random=True))


def _fixed(change: Callable[..., Pixels], *values: float) -> Callable[[Pixels, Rng], Pixels]:
    return lambda field, _: change(field, *values)


def _around_one(change: Callable[..., Pixels], percent: float) -> Callable[[Pixels, Rng], Pixels]:
    """Three factors, each drawn from 1 +- ``percent`` %."""
    return lambda field, rng: change(field, rng.uniform(1 - percent / 100, 1 + percent / 100, 3))


def _dyes(field: Pixels, factors: NDArray[np.float64]) -> Pixels:
    return optics.stain(field, factors, np.zeros(3))


def _noise(sigma_levels: float) -> Callable[[Pixels, Rng], Pixels]:
    return lambda field, rng: optics.noise(field, sigma_levels, rng)


def _rotate(field: Pixels, rng: Rng) -> Pixels:
    return optics.zoom_rotate(field, 1.0, rng.uniform(0, 360))


def measure_shifts(
    analyzer: BundleAnalyzer,
    fields: Pixels,
    truth: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    shifts: Sequence[Shift] | None = None,
) -> tuple[ShiftFigures, ...]:
    """One row per shift, for fields uint8 RGB (n, 224, 224, 3). The same seed draws the same shifts."""
    return tuple(
        _measure(analyzer, shift, fields, truth, groups, draws if shift.random else 1, seed)
        for shift in (all_shifts() if shifts is None else shifts)
    )


def _measure(
    analyzer: BundleAnalyzer,
    shift: Shift,
    fields: Pixels,
    truth: NDArray[np.int64],
    groups: NDArray[np.int64],
    draws: int,
    seed: int,
) -> ShiftFigures:
    generators = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(draws * len(fields))]
    shifted = np.stack([shift.apply(fields[i % len(fields)], rng) for i, rng in enumerate(generators)])
    predictions = analyzer.predict_fields(shifted, f"{shift.name} {shift.strength}"[:40])
    right = predictions.top == np.tile(truth, draws)
    return ShiftFigures(
        shift=shift.name,
        strength=shift.strength,
        images_count=len(right),
        top_accuracy_ratio=float(right.mean()),
        top_accuracy_interval_ratio=group_interval(right, np.tile(groups, draws), seed=seed),
        answered_ratio=float(predictions.answered.mean()),
        answered_accuracy_ratio=float(right[predictions.answered].mean()) if predictions.answered.any() else None,
        refusals=predictions.refusals,
    )
