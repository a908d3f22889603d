"""Fields and readings of a slide, for tests that count them."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.reading import Explanation, Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.contracts import (
    Differential,
    ErrorReport,
    Label,
    ModelIdentity,
    Outcome,
    Reason,
    Result,
    SpecimenField,
)
from edge_agent.errors import ImageError

MODEL = ModelIdentity(name="accurate", version="1.0.0", sha256="a" * 64, preprocessing="rgb@1", runtime="none")
LABELS = (
    Label(code="benign", display_name="Benign", meaning="Not malignant.", malignant=False),
    Label(code="pre-b", display_name="Pre-B ALL", meaning="Malignant.", malignant=True),
    Label(code="pro-b", display_name="Pro-B ALL", meaning="Malignant.", malignant=True),
)
CELLS_MODEL = MODEL.model_copy(update={"name": "cells", "sha256": "c" * 64})
TYPES = (
    Label(code="blast", display_name="Blast", meaning="Immature, malignant.", malignant=True),
    Label(code="lymphocyte", display_name="Lymphocyte", meaning="Mature.", malignant=False),
    Label(code="smudge", display_name="Smudge or other", meaning="Nothing to type.", malignant=False),
)
SIDE_PX = 224


def draw_slide(seed: int, *, beyond_px: int = SIDE_PX // 4) -> NDArray[np.uint8]:
    """A part of a drawn slide, larger than a field by as much as a stage may come back beside it."""
    side = SIDE_PX + beyond_px
    array, _ = draw_smear(np.random.default_rng(seed), "pre-b", size_px=(side, side), noise_sigma_levels=0)
    return array


def look_at(part: NDArray[np.uint8], down_px: int = 0, right_px: int = 0, *, seed: int = 0) -> NDArray[np.uint8]:
    """The field there, uint8 RGB (224, 224, 3), with another exposure and noise for each seed."""
    rng = np.random.default_rng(seed)
    field = part[down_px : down_px + SIDE_PX, right_px : right_px + SIDE_PX].astype(np.float64)
    field = field * rng.uniform(0.85, 1.05) + rng.normal(0, 3, field.shape)
    return np.clip(field, 0, 255).astype(np.uint8)


def judged(field: NDArray[np.uint8] | None, *, label: str = "pre-b") -> Reading:
    """A field that was classified."""
    found = next(each for each in LABELS if each.code == label)
    return Reading(
        frame=frame_now("camera0", ImageError("no picture is needed here.")),
        outcome=Outcome.CLASSIFIED,
        model=MODEL,
        demonstration=False,
        provisional=False,
        latency_ms={"total": 0.0},
        label=found.code,
        malignant=found.malignant,
        explanation=None if field is None else Explanation(field, np.zeros((SIDE_PX, SIDE_PX), np.uint8), None),
        labels=LABELS,
    )


def unsure(field: NDArray[np.uint8] | None) -> Reading:
    """A field that was judged without a label."""
    return refused(field, Outcome.ABSTAINED, Reason.LOW_CONFIDENCE)


def refused(
    field: NDArray[np.uint8] | None, outcome: Outcome = Outcome.REJECTED, reason: Reason = Reason.BLURRED
) -> Reading:
    """A field that was not fit to be judged."""
    return replace(judged(field), outcome=outcome, reason=reason, label=None, malignant=None)


def failed() -> Reading:
    """A frame that could not be read."""
    error = ErrorReport.from_error(ImageError("it is damaged."))
    return replace(judged(None), outcome=Outcome.FAILED, error=error, label=None, malignant=None)


def result_of(reading: Reading, place: SpecimenField | None = None) -> Result:
    """The message of a reading."""
    return ResultMaker("clinic-a", "scope-1", uuid4()).make(reading, place)


def differential(
    *, refused: int = 0, unseen: int = 0, model: ModelIdentity = CELLS_MODEL, provisional: bool = False, **types: int
) -> Differential:
    """The cells of a field: so many of each type, refused, and not looked at."""
    judged, blasts = sum(types.values()), types.get("blast", 0)
    return Differential(
        demonstration=False,
        provisional=provisional,
        cells_count=judged + refused + unseen,
        judged_count=judged,
        refused_count=refused,
        types_count={each.code: types.get(each.code, 0) for each in TYPES},
        blasts_count=blasts,
        blast_ratio=blasts / judged if judged else None,
        model=model,
    )
