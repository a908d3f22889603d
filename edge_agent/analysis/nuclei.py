"""The nuclei of a field as a result lists them: in pixels of the frame, and in micrometres where the scale is known."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from edge_agent.analysis.cell_judgement import CellJudgement
from edge_agent.analysis.reading import FieldAnalysis
from edge_agent.contracts import MAX_CELLS, Cell, Nuclei
from edge_agent.vision.cells import CELL_WINDOW_UM
from edge_agent.vision.field import View
from edge_agent.vision.nuclei import Nucleus


def describe_nuclei(analysis: FieldAnalysis, view: View) -> Nuclei:
    """Number and size of the nuclei, in pixels of the frame."""
    segmentation, scale = analysis.segmentation, analysis.scale.um_per_pixel
    median = None
    if segmentation.count:
        median = statistics.median(nucleus.area_px for nucleus in segmentation.nuclei) * view.frame_px_per_px**2
    return Nuclei(
        count=segmentation.count,
        coverage_pct=round(segmentation.coverage_pct, 3),
        median_area_px=None if median is None else round(median, 3),
        median_area_um2=None if median is None or scale is None else round(median * scale * scale, 3),
    )


def describe_cells(
    analysis: FieldAnalysis, view: View, judgements: Sequence[CellJudgement | None] | None = None
) -> tuple[Cell, ...]:
    """The position of each nucleated cell in the frame, and the size of its nucleus; at most ``MAX_CELLS``.

    ``judgements`` are those of a cells bundle, in the order of the cells; None if there is no cells bundle.
    """
    scale, px = analysis.scale.um_per_pixel, view.frame_px_per_px
    height, width = analysis.segmentation.mask.shape
    found = []
    for at, nucleus in enumerate(analysis.segmentation.nuclei[:MAX_CELLS]):
        x, y = nucleus.centre_px
        y_px, x_px = view.to_frame(y, x)
        area = nucleus.area_px * px * px
        found.append(
            Cell(
                x_px=round(x_px, 1),
                y_px=round(y_px, 1),
                nucleus_area_px=round(area, 1),
                nucleus_area_um2=None if scale is None else round(area * scale * scale, 1),
                window_side_px=None if scale is None else round(CELL_WINDOW_UM / scale, 1),
                cut=nucleus.is_cut(height, width),
                **({} if judgements is None else {**_box(nucleus, view), **describe_judgement(judgements[at])}),
            )
        )
    return tuple(found)


def describe_judgement(judgement: CellJudgement | None) -> dict[str, Any]:
    """The fields of a ``Cell`` that a cells bundle fills."""
    if judgement is None:
        return {}
    decision = judgement.decision
    return {
        "type": None if judgement.label is None else judgement.label.code,
        "type_ratio": judgement.type_ratio,
        "blast_ratio": judgement.blast_ratio,
        "unfamiliarity_score": None if decision is None else decision.unfamiliarity_score,
        "refusal": judgement.refusal,
    }


def _box(nucleus: Nucleus, view: View) -> dict[str, float]:
    """The box of a nucleus in the frame. The view may be turned against the frame."""
    corners = [
        view.to_frame(y, x)
        for y, x in (
            (nucleus.top_px, nucleus.left_px),
            (nucleus.top_px + nucleus.height_px, nucleus.left_px + nucleus.width_px),
        )
    ]
    (top, bottom), (left, right) = (sorted(each) for each in zip(*corners, strict=True))
    return {
        "left_px": round(left, 1),
        "top_px": round(top, 1),
        "width_px": round(right - left, 1),
        "height_px": round(bottom - top, 1),
    }
