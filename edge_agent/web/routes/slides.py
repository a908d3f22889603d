"""``/slides``: the open slide, and the reports of finished ones as JSON, PDF and CSV."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from edge_agent.catalogue import Catalogue, catalogue
from edge_agent.contracts import Report
from edge_agent.errors import ReportMissing
from edge_agent.reports.csv_table import report_csv
from edge_agent.specimens.archive import KEPT_COUNT, ReportArchive
from edge_agent.specimens.statement import statement
from edge_agent.specimens.tally import Tally
from edge_agent.web.access.roles import Role, requires
from edge_agent.web.refusals import refuse_with


def _json(report: Report, _texts: Catalogue) -> bytes:
    return report.to_json()


def _pdf(report: Report, texts: Catalogue) -> bytes:
    # reportlab is large, and most devices never write a PDF.
    from edge_agent.reports.pdf import report_pdf  # noqa: PLC0415 - see above

    return report_pdf(report, texts)


_KINDS: dict[str, tuple[Callable[[Report, Catalogue], bytes], str]] = {
    "json": (_json, "application/json"),
    "pdf": (_pdf, "application/pdf"),
    "csv": (report_csv, "text/csv; charset=utf-8; header=present"),
}


def slides_routes(archive: ReportArchive, open_slide: Callable[[], Tally | None]) -> list[BaseRoute]:
    """Slides, for everyone who may look. ``open_slide`` returns the counts of the open slide."""
    look = requires(Role.LOOK)

    async def slides(request: Request) -> Response:
        language = request.query_params.get("language", "")
        return JSONResponse(await asyncio.to_thread(_overview, archive, open_slide, catalogue(language)))

    async def report(request: Request) -> Response:
        name, _, kind = request.path_params["name"].rpartition(".")
        if kind not in _KINDS:
            return _missing()
        # Reading the archive and writing a PDF take some tenths of a second. Live pictures must go on meanwhile.
        return await asyncio.to_thread(_document, archive, name, kind, request.query_params.get("language", ""))

    return [Route("/slides", look(slides)), Route("/slides/{name}", look(report))]


def _overview(archive: ReportArchive, open_slide: Callable[[], Tally | None], texts: Catalogue) -> dict[str, object]:
    """The open slide and all reports, each with its statement in the reader's language."""
    tally = open_slide()
    return {
        "open": None if tally is None else tally.model_dump(mode="json"),
        "kept_max_count": KEPT_COUNT,
        "reports": [
            {**report.model_dump(mode="json"), "statement": statement(report, texts)} for report in archive.reports()
        ],
    }


def _document(archive: ReportArchive, name: str, kind: str, language: str) -> Response:
    try:
        report = archive.find(UUID(name))
    except ValueError:
        report = None
    if report is None:
        return _missing()
    write, media_type = _KINDS[kind]
    file = f"report-{report.specimen.id}-{report.specimen.slide}-{str(report.id)[-8:]}.{kind}"
    return Response(
        write(report, catalogue(language)),
        media_type=media_type,
        headers={
            # A report never changes, but the next release may word it better.
            "Cache-Control": "private, max-age=3600",
            "Content-Disposition": f'{"inline" if kind == "pdf" else "attachment"}; filename="{file}"',
        },
    )


def _missing() -> Response:
    return refuse_with(404, ReportMissing("There is no such report, or it is no longer kept."))
