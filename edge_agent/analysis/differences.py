"""How an unfamiliar field differs from the training images, in simple measures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from edge_agent.analysis.extraction import ExtractedField
from edge_agent.analysis.reading import FieldAnalysis
from edge_agent.contracts import ColourDifference, Difference, ScaleDifference, TextureDifference
from edge_agent.contracts.appearance import Aspect, Direction, Measure
from edge_agent.contracts.manifest import MeasureRange
from edge_agent.vision.appearance import Appearance, measure_appearance

_LEAST_BEYOND_RATIO = 0.001
"""Ranges are rounded, so a value on the edge of a range must not count as beyond it."""


def field_appearance(extracted: ExtractedField, analysis: FieldAnalysis) -> Appearance:
    """The simple measures of a field."""
    view, segmentation = extracted.view, analysis.segmentation
    # Both show the same part of the frame, the view with more pixels if the frame has them.
    field_px_per_px = extracted.rgb.shape[0] / view.rgb.shape[0]
    height, width = segmentation.mask.shape
    whole = [each.area_px for each in segmentation.nuclei if not each.is_cut(height, width)]
    nucleus_px = 2 * math.sqrt(statistics.median(whole) / math.pi) if whole else None
    red_cell_px = analysis.red_cells.guess_px
    return measure_appearance(
        extracted.rgb,
        analysis.nuclei_mask,
        nucleus_diameter_px=None if nucleus_px is None else nucleus_px * field_px_per_px,
        red_cell_diameter_px=None if red_cell_px is None else red_cell_px * field_px_per_px,
    )


def find_differences(appearance: Appearance, ranges: Mapping[Measure, MeasureRange]) -> tuple[Difference, ...]:
    """The measures outside the ``ranges``, at most one of each aspect, the farthest first.

    A measure that the field or the bundle lacks counts as inside.
    """
    found: dict[Aspect, Difference] = {}
    for measure, limits in ranges.items():
        value = getattr(appearance, measure.value)
        difference = None if value is None else _difference(measure, value, limits)
        if difference is None:
            continue
        farthest = found.get(measure.aspect)
        if farthest is None or difference.beyond_ratio > farthest.beyond_ratio:
            found[measure.aspect] = difference
    return tuple(sorted(found.values(), key=lambda each: -each.beyond_ratio))


def _difference(measure: Measure, value: float, limits: MeasureRange) -> Difference | None:
    direction = Direction.ABOVE if value > limits.high else Direction.BELOW
    beyond = max(value - limits.high, limits.low - value) / ((limits.high - limits.low) / 2)
    if beyond < _LEAST_BEYOND_RATIO or measure.words(direction) is None:
        return None
    beyond, value, low, median, high = map(_rounded, (beyond, value, limits.low, limits.median, limits.high))
    match measure.aspect:
        case Aspect.COLOUR:
            return ColourDifference(
                measure=measure,
                direction=direction,
                beyond_ratio=beyond,
                value_delta_e=value,
                low_delta_e=low,
                median_delta_e=median,
                high_delta_e=high,
            )
        case Aspect.TEXTURE:
            return TextureDifference(
                measure=measure,
                direction=direction,
                beyond_ratio=beyond,
                value_ratio=value,
                low_ratio=low,
                median_ratio=median,
                high_ratio=high,
            )
        case Aspect.SCALE:
            return ScaleDifference(
                measure=measure,
                direction=direction,
                beyond_ratio=beyond,
                value_px=value,
                low_px=low,
                median_px=median,
                high_px=high,
            )


def _rounded(value: float) -> float:
    """Round to four digits: messages do not carry digits without meaning."""
    return float(f"{value:.4g}")
