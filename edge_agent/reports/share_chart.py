"""A chart of shares with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib import colors
from reportlab.lib.units import mm

from edge_agent.contracts import CellTypeShare, LabelShare
from edge_agent.reports.fonts import REGULAR

_ROW = 6 * mm
_BAR = 3.2 * mm
_NAMES = 54 * mm
_MARGIN = 5 * mm
_SIZE = 7
_MALIGNANT, _OTHER, _UNKNOWN = colors.HexColor("#a2405c"), colors.HexColor("#3f6f8f"), colors.HexColor("#777777")
_GRID = colors.HexColor("#cccccc")


def share_chart(shares: Sequence[tuple[str, LabelShare | CellTypeShare]], width: float, marks: list[str]) -> Drawing:
    """One bar per share with a name, from 0 to 100 %, and a line from end to end of its interval.

    ``width`` is in points; ``marks`` are written below 0, 25, 50, 75 and 100 %. Colour is not needed to read it: which
    labels or types are malignant is part of their names.
    """
    height = _ROW * len(shares) + 2 * _MARGIN
    drawing = Drawing(width, height)
    bottom, left = _MARGIN, _NAMES + _MARGIN
    span = width - left - _MARGIN
    top = bottom + _ROW * len(shares)

    def x(ratio: float) -> float:
        return float(left + ratio * span)

    for number, mark in enumerate(marks):
        at = x(number / (len(marks) - 1))
        drawing.add(Line(at, bottom, at, top, strokeColor=_GRID, strokeWidth=0.5))
        drawing.add(String(at, bottom - 9, mark, fontName=REGULAR, fontSize=_SIZE - 1, textAnchor="middle"))
    for row, (name, share) in enumerate(shares):
        middle = top - (row + 0.5) * _ROW
        drawing.add(String(left - 6, middle - 3, name, fontName=REGULAR, fontSize=_SIZE, textAnchor="end"))
        if share.ratio is None or share.low_ratio is None or share.high_ratio is None:
            continue
        colour = _UNKNOWN if share.malignant is None else _MALIGNANT if share.malignant else _OTHER
        bar = Rect(x(0), middle - _BAR / 2, share.ratio * span, _BAR, fillColor=colour, strokeColor=None)
        drawing.add(bar)
        low, high = x(share.low_ratio), x(share.high_ratio)
        drawing.add(Line(low, middle, high, middle, strokeColor=colors.black, strokeWidth=1))
        for end in (low, high):
            drawing.add(Line(end, middle - 2.5, end, middle + 2.5, strokeColor=colors.black, strokeWidth=1))
    return drawing
