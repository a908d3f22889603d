"""Measures how much answers depend on the bottom-right corner, where scale bars are burnt in."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from edge_agent.settings import Settings
from trainer.evaluation.bundle_analyzer import BundleAnalyzer, Predictions
from trainer.evaluation.shifts import Pixels

CORNER_PX = (28, 50)
"""Height and width of the bottom-right corner that is overwritten."""


class CornerFigures(Settings):
    """How far answers depend on the bottom-right corner, where scale bars are burnt in."""

    overwritten_by: str
    images_count: int
    top_changed_ratio: float = Field(description="Share of top classes that change.")
    answer_changed_ratio: float = Field(description="Share of answers that change; a refusal is an answer here.")
    label_changed_ratio: float = Field(description="Share of images whose answered label changes to another label.")


def measure_corner(
    analyzer: BundleAnalyzer, fields: Pixels, plain: Predictions, *, seed: int = 0
) -> tuple[CornerFigures, ...]:
    """Overwrite the corner of fields uint8 RGB (n, 224, 224, 3) and compare with ``plain``, the predictions before."""
    height, width = CORNER_PX
    # One cycle, so that no image gets its own corner.
    order = np.random.default_rng(seed).permutation(len(fields))
    other = np.empty(len(fields), np.intp)
    other[order] = np.roll(order, 1)
    patches: dict[str, Pixels | int] = {
        "black": 0,
        "white": 255,
        "another image's corner": fields[other, -height:, -width:],
    }
    rows = []
    for name, patch in patches.items():
        changed = fields.copy()
        changed[:, -height:, -width:] = patch
        predictions = analyzer.predict_fields(changed, f"corner: {name}")
        differs = predictions.answers != plain.answers
        rows.append(
            CornerFigures(
                overwritten_by=name,
                images_count=len(fields),
                top_changed_ratio=float((predictions.top != plain.top).mean()),
                answer_changed_ratio=float(differs.mean()),
                label_changed_ratio=float((differs & predictions.answered & plain.answered).mean()),
            )
        )
    return tuple(rows)
