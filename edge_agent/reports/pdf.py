"""The report of a slide as PDF, on A4. Needs reportlab, of the extra ``web``; import it where it is needed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from edge_agent.catalogue import Catalogue
from edge_agent.contracts import CellTypeShare, LabelShare, Outcome, Report, SlideDifferential
from edge_agent.reports.fonts import BOLD, REGULAR, printable, register_fonts
from edge_agent.reports.share_chart import share_chart
from edge_agent.reports.wording import reason_words, reasons_by_outcome, scale_words, share_words
from edge_agent.specimens.statement import statement

_MARGIN = 18 * mm
_BAND = 10 * mm
_HEAD_ROOM, _FOOT_ROOM = _BAND + 6 * mm, 18 * mm
_FOOT = 11 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_INK, _QUIET, _RULE = colors.HexColor("#1c1c28"), colors.HexColor("#5a5a66"), colors.HexColor("#c9c9d2")
_BAND_INK, _HEAD = colors.HexColor("#3d2b63"), colors.HexColor("#efecf5")
_WARNING, _WARNING_RULE = colors.HexColor("#fdf0e3"), colors.HexColor("#b4560a")

_TEXT = ParagraphStyle("text", fontName=REGULAR, fontSize=8.4, leading=12.2, textColor=_INK)
_SMALL = ParagraphStyle("small", parent=_TEXT, fontSize=7, leading=9.6, textColor=_QUIET)
_CELL = ParagraphStyle("cell", parent=_TEXT, fontSize=7.6, leading=10.2)
_MONO = ParagraphStyle("mono", parent=_CELL, fontSize=6.2, leading=8)
_BOLD = ParagraphStyle("bold", parent=_CELL, fontName=BOLD)
_TITLE = ParagraphStyle("title", parent=_TEXT, fontName=BOLD, fontSize=16, leading=20)
_HEADING = ParagraphStyle(
    "heading", parent=_TEXT, fontName=BOLD, fontSize=10.2, leading=13, spaceBefore=7, spaceAfter=3
)

_NUMBERS = {"count", "fields", "cells", "share", "interval"}
"""Columns of numbers."""

_MAX_BARS = 36
"""Of a chart, so that it fits on a page."""

_MAX_BARS = 36
"""Of a chart, so that it fits on a page."""

_GRID = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, _RULE),
        ("BACKGROUND", (0, 0), (-1, 0), _HEAD),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 1.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
)


def report_pdf(report: Report, texts: Catalogue) -> bytes:
    """The whole document. The same report always gives the same bytes. Takes some tenths of a second."""
    register_fonts()
    out = io.BytesIO()
    title = f"{texts.text('report.title')}: {report.specimen.id}, {report.specimen.slide}"
    document = BaseDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_HEAD_ROOM,
        bottomMargin=_FOOT_ROOM,
        title=title,
        author=f"{report.site or ''} {report.device}".strip(),
        subject=texts.text("report.research_use"),
        creator=report.software or "leukoscope",
        lang=texts.language,
        invariant=1,
    )
    frame = Frame(_MARGIN, _FOOT_ROOM, _WIDTH, A4[1] - _HEAD_ROOM - _FOOT_ROOM, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate(frames=[frame]))
    document.build(_story(report, texts), canvasmaker=_numbered(report, texts))
    return out.getvalue()


def _story(report: Report, texts: Catalogue) -> list[Flowable]:
    return [
        _paragraph(texts.text("report.title"), _TITLE),
        Spacer(0, 2 * mm),
        *_warnings(report, texts),
        _identity(report, texts),
        _paragraph(texts.text("report.summary"), _HEADING),
        _paragraph(statement(report, texts), _TEXT),
        _paragraph(texts.text("report.readings"), _HEADING),
        _readings(report, texts),
        *_distribution(report, texts),
        *_differential(report.differential, texts),
        KeepTogether([_paragraph(texts.text("report.versions"), _HEADING), _models(report, texts)]),
    ]


def _warnings(report: Report, texts: Catalogue) -> Iterable[Flowable]:
    for name, given in (("demonstration", report.demonstration), ("provisional", report.provisional)):
        if given:
            box = Table([[_paragraph(texts.text(f"report.statement.{name}"), _BOLD)]], colWidths=[_WIDTH])
            style = [("BACKGROUND", (0, 0), (-1, -1), _WARNING), ("BOX", (0, 0), (-1, -1), 1, _WARNING_RULE)]
            box.setStyle(TableStyle(style))
            yield box
            yield Spacer(0, 3 * mm)


def _identity(report: Report, texts: Catalogue) -> Flowable:
    wished = report.wished_fields_count
    pairs = [
        ("specimen", report.specimen.id),
        ("slide", str(report.specimen.slide)),
        ("site", report.site or texts.text("report.unknown")),
        ("device", report.device),
        ("began_at", _time(report.began_at)),
        ("finished_at", _time(report.finished_at)),
        ("wished_fields", texts.text("report.none") if wished is None else str(wished)),
        ("scale", scale_words(report, texts)),
    ]
    cells = [[_paragraph(texts.text(f"report.{name}"), _SMALL), _paragraph(value, _CELL)] for name, value in pairs]
    rows = [[*cells[number], *cells[number + 1]] for number in range(0, len(cells), 2)]
    table = Table(rows, colWidths=[0.17 * _WIDTH, 0.31 * _WIDTH, 0.17 * _WIDTH, 0.35 * _WIDTH])
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LINEBELOW", (0, 0), (-1, -1), 0.5, _RULE)]))
    return table


def _readings(report: Report, texts: Catalogue) -> Flowable:
    reasons = reasons_by_outcome(report)
    rows: list[list[Flowable]] = [_head(texts, "outcome", "count", "what_it_means")]
    for outcome in Outcome:
        rows.append(_outcome(texts, outcome.value, report.outcomes_count.get(outcome, 0)))
        rows += [
            [_paragraph(f"   {code}", _SMALL), _number(count, _SMALL), _paragraph(reason_words(code, texts), _SMALL)]
            for code, count in reasons[outcome].items()
        ]
    rows.append(_outcome(texts, "repeated", report.repeated_count))
    rows.append(
        [_paragraph(texts.text("report.outcome.all"), _BOLD), _number(report.readings_count, _BOLD), Spacer(0, 0)]
    )
    return _table(rows, 0.25, 0.11, 0.64)


def _outcome(texts: Catalogue, name: str, count: int) -> list[Flowable]:
    return [
        _paragraph(texts.text(f"report.outcome.{name}"), _BOLD),
        _number(count, _BOLD),
        _paragraph(texts.text(f"report.outcome.{name}.meaning"), _CELL),
    ]


def _distribution(report: Report, texts: Catalogue) -> Iterable[Flowable]:
    heading = _paragraph(texts.text("report.distribution"), _HEADING)
    if report.malignant is None or report.malignant.ratio is None:
        yield KeepTogether([heading, _paragraph(texts.text("report.no_labels"), _TEXT)])
        return
    rows: list[list[Flowable]] = [_head(texts, "label", "fields", "share", "interval")]
    for label in report.labels:
        share, interval = share_words(label, texts)
        name = _paragraph(_with_mark(label, texts), _CELL)
        rows.append([name, _number(label.fields_count, _CELL), _right(share, _CELL), _right(interval, _CELL)])
    share, interval = share_words(report.malignant, texts)
    all_malignant = _paragraph(texts.text("report.malignant"), _BOLD)
    rows.append(
        [all_malignant, _number(report.malignant.fields_count, _BOLD), _right(share, _BOLD), _right(interval, _BOLD)]
    )
    yield KeepTogether([heading, _table(rows, 0.46, 0.12, 0.16, 0.26)])
    shares = [(printable(_with_mark(label, texts)), label) for label in report.labels]
    yield from _charts(shares, texts, "report.chart", "report.interval_note")


def _differential(found: SlideDifferential | None, texts: Catalogue) -> Iterable[Flowable]:
    if found is None:
        return
    heading = _paragraph(texts.text("report.differential"), _HEADING)
    counts = texts.text(
        "report.cells_counted", cells=found.cells_count, judged=found.judged_count, refused=found.refused_count
    )
    head: list[Flowable] = [heading, _paragraph(counts, _TEXT)]
    if found.judged_count == 0:
        yield KeepTogether(head)
        return
    rows: list[list[Flowable]] = [_head(texts, "type", "cells", "share", "interval")]
    for each in found.types:
        share, interval = share_words(each, texts)
        name = _paragraph(_with_mark(each, texts), _CELL)
        rows.append([name, _number(each.cells_count, _CELL), _right(share, _CELL), _right(interval, _CELL)])
    share, interval = share_words(found.blasts, texts)
    together = _paragraph(texts.text("report.blasts"), _BOLD)
    rows.append([together, _number(found.blasts.cells_count, _BOLD), _right(share, _BOLD), _right(interval, _BOLD)])
    yield KeepTogether([*head, Spacer(0, 1 * mm), _table(rows, 0.46, 0.12, 0.16, 0.26)])
    shares = [(printable(_with_mark(each, texts)), each) for each in found.types]
    yield from _charts(shares, texts, "report.cells_chart", "report.cells_interval_note")


def _charts(
    shares: Sequence[tuple[str, LabelShare | CellTypeShare]], texts: Catalogue, title: str, note: str
) -> Iterable[Flowable]:
    marks = [texts.text("report.percent", value=percent) for percent in (0, 25, 50, 75, 100)]
    # A chart cannot go on on the next page. Models that took turns on a slide may have many labels together.
    for first in range(0, max(1, len(shares)), _MAX_BARS):
        yield KeepTogether(
            [
                Spacer(0, 3 * mm),
                _paragraph(texts.text(title), _SMALL),
                share_chart(shares[first : first + _MAX_BARS], _WIDTH, marks),
                _paragraph(texts.text(note), _SMALL),
            ]
        )


def _with_mark(label: LabelShare | CellTypeShare, texts: Catalogue) -> str:
    return f"{label.name} ({texts.text('report.malignant_mark')})" if label.malignant else label.name


def _models(report: Report, texts: Catalogue) -> Flowable:
    rows: list[list[Flowable]] = [_head(texts, "model", "version", "preprocessing", "runtime", "sha256")]
    judged = report.models or (report.model,)
    beside = () if report.differential is None else report.differential.models
    for model in (*judged, *(each for each in beside if each not in judged)):
        cells = (model.name, model.version, model.preprocessing, model.runtime)
        rows.append([*(_paragraph(cell, _CELL) for cell in cells), _paragraph(model.sha256, _MONO)])
    software = [_paragraph(texts.text("report.software"), _BOLD), _paragraph(report.software or "", _CELL)]
    rows.append([*software, Spacer(0, 0), Spacer(0, 0), Spacer(0, 0)])
    return _table(rows, 0.13, 0.13, 0.2, 0.24, 0.3)


def _head(texts: Catalogue, *names: str) -> list[Flowable]:
    cells = ((name, texts.text(f"report.{name}")) for name in names)
    return [_right(text, _BOLD) if name in _NUMBERS else _paragraph(text, _BOLD) for name, text in cells]


def _table(rows: list[list[Flowable]], *shares: float) -> Flowable:
    # A title without its first row would be useless; a long table continues on the next page below the same titles.
    table = Table(rows, colWidths=[share * _WIDTH for share in shares], repeatRows=1)
    table.setStyle(_GRID)
    return table


def _number(count: int, style: ParagraphStyle) -> Flowable:
    return _right(str(count), style)


def _right(text: str, style: ParagraphStyle) -> Flowable:
    return _paragraph(text, ParagraphStyle(f"{style.name}-right", parent=style, alignment=2))


def _paragraph(text: str, style: ParagraphStyle) -> Flowable:
    # Anything in a name is a character to be shown, not markup.
    return Paragraph(escape(printable(text)).replace("   ", "&nbsp;&nbsp;&nbsp;"), style)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _numbered(report: Report, texts: Catalogue) -> type[Canvas]:
    """A canvas that puts the notice, the report's id and the number of the page on each page."""
    notice = printable(texts.text("report.research_use"))
    name = f"{texts.text('report.id')} {report.id}"

    class NumberedCanvas(Canvas):  # type: ignore[misc]  # reportlab has no type hints
        """Keeps the pages until their number is known."""

        def __init__(self, *args: Any, **settings: Any) -> None:  # noqa: ANN401 - whatever reportlab gives it
            super().__init__(*args, **settings)
            self._pages: list[dict[str, Any]] = []
            self.setViewerPreference("DisplayDocTitle", "true")

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            pages = self._pages
            for number, page in enumerate(pages, 1):
                self.__dict__.update(page)
                self._decorate(texts.text("report.page", page=number, pages=len(pages)))
                super().showPage()
            super().save()

        def _decorate(self, page: str) -> None:
            width, height = A4
            self.setFillColor(_BAND_INK)
            self.rect(0, height - _BAND, width, _BAND, stroke=0, fill=1)
            self.setFillColor(colors.white)
            self.setFont(BOLD, 7.5)
            self.drawCentredString(width / 2, height - 0.62 * _BAND, notice)
            self.setFillColor(_QUIET)
            self.setFont(REGULAR, 6.5)
            self.drawString(_MARGIN, _FOOT, notice)
            self.drawString(_MARGIN, _FOOT - 10, name)
            self.drawRightString(width - _MARGIN, _FOOT - 10, page)

    return NumberedCanvas
