"""The scales of single frames, and how they are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.contracts import MeasuredScale
from edge_agent.errors import ScaleUnreadable

_MIN_AGREEING = 2 / 3
"""Share of the frames that must agree."""


@dataclass(frozen=True, slots=True)
class FrameScale:
    """The scale that one frame shows."""

    um_per_pixel: float
    low: float
    high: float
    """``low`` to ``high`` contains the true scale at least nine times in ten."""
    marks_count: int
    """Lines of a micrometer, or red cells."""
    field: int = 0
    """Number of the field. A stage at rest shows the same marks in every frame, and they count once."""


def combine(scales: Sequence[FrameScale], *, tolerance: float) -> MeasuredScale:
    """The median of the frames that are within ``tolerance`` (a share) of each other's median.

    The interval is as wide as that of a usual frame, and contains every frame's value. An error in one frame, such as
    cells that are larger than usual, affects all of them, so more frames do not make the interval narrower.

    Raises ``ScaleUnreadable`` if there are none, or fewer than two thirds agree.
    """
    if not scales:
        raise ScaleUnreadable("The scale could not be measured in any picture.")
    values = np.array([each.um_per_pixel for each in scales])
    agreeing = np.abs(values / np.median(values) - 1) <= tolerance
    if agreeing.sum() < _MIN_AGREEING * len(scales):
        raise ScaleUnreadable(
            f"The pictures do not agree: they show from {values.min():.4g} to {values.max():.4g} µm per pixel.",
            remedy="Take all pictures with the same objective and camera settings, in focus, and try again.",
        )
    kept = [each for each, agrees in zip(scales, agreeing, strict=True) if agrees]
    low = min(float(np.median([each.low for each in kept])), *(each.um_per_pixel for each in kept))
    high = max(float(np.median([each.high for each in kept])), *(each.um_per_pixel for each in kept))
    marks: dict[int, int] = {}
    for each in kept:
        marks[each.field] = max(each.marks_count, marks.get(each.field, 0))
    return MeasuredScale(
        um_per_pixel=_rounded(float(np.median([each.um_per_pixel for each in kept]))),
        um_per_pixel_low=_rounded(low),
        um_per_pixel_high=_rounded(high),
        frames_count=len(kept),
        marks_count=sum(marks.values()),
    )


def _rounded(value: float) -> float:
    """Round to four digits, which is more than any micrometer is made to."""
    return float(f"{value:.4g}")
