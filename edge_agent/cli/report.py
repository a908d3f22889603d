"""``edge-agent report``: the reports of finished slides that the device keeps."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.catalogue import catalogue
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.atomic_file import replace_file
from edge_agent.cli.state_folder import ConfigOption, state_folder
from edge_agent.cli.terminal import NOTICE, errors, output, write_json_line
from edge_agent.contracts import Report
from edge_agent.errors import ConfigError, ReportMissing, WebMissing
from edge_agent.specimens.archive import ReportArchive
from edge_agent.spool.offline import read_entries
from edge_agent.spool.place import FILE


class Format(StrEnum):
    """What a report is written as."""

    PDF = "pdf"
    CSV = "csv"
    JSON = "json"


def report(
    report_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The report, by its id or the end of it. Without one: a list.")
    ] = None,
    config: ConfigOption = None,
    as_format: Annotated[
        Format | None, typer.Option("--format", help="Default: by the name of --out, else JSON.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write. Default: standard output.", metavar="FILE", parser=expand_path)
    ] = None,
    language: Annotated[str, typer.Option(help="Language of PDF and CSV: en, de.", metavar="CODE")] = "en",
) -> None:
    """List the reports of finished slides, or write one as PDF, CSV or JSON.

    The agent may be running.
    """
    folder = state_folder(config)
    archive = ReportArchive(partial(read_entries, folder / FILE))
    if report_id is None:
        if as_format is not None or out is not None:
            raise ConfigError("There is no id of the report to write.", remedy="List the ids with: edge-agent report")
        _list(archive.reports())
        return
    chosen = _find(archive, report_id)
    kind = as_format or _by_name(out)
    if out is None:
        if kind is Format.PDF:
            raise ConfigError("A PDF is not for a terminal.", remedy="Name a file with --out.")
        text = _content(chosen, kind, language).decode()
        if kind is Format.JSON:
            write_json_line(text)
        else:
            sys.stdout.write(text)
        return
    # Not 'resolve', which has an error of its own for a link to itself.
    if Path(os.path.realpath(out)).parent == Path(os.path.realpath(folder)):
        raise ConfigError(f"{out} is in the state folder.", remedy="Give another file.")
    replace_file(out, _content(chosen, kind, language))
    errors.print(f"Report {chosen.id} was written to {out}.", markup=False)


def _list(reports: list[Report]) -> None:
    if not reports:
        output.print("No slide has been finished on this device.")
        return
    for each in reports:
        slide = f"{each.specimen.id}, slide {each.specimen.slide}"
        finished = f"{each.finished_at:%Y-%m-%d %H:%M}"
        cells = "" if each.differential is None else f", {each.differential.judged_count} cells"
        output.print(f"{each.id}  {finished}  {slide}: {each.judged_count} fields{cells} judged", markup=False)
    output.print(NOTICE)


def _find(archive: ReportArchive, wanted: str) -> Report:
    found = [each for each in archive.reports() if str(each.id).endswith(wanted.lower())]
    if not found or not wanted:
        raise ReportMissing(f"There is no report {wanted} on this device.")
    if len(found) > 1:
        raise ReportMissing(f"{len(found)} reports end in {wanted}.", remedy="Give more of the id.")
    return found[0]


def _by_name(out: Path | None) -> Format:
    suffix = "" if out is None else out.suffix.lower().removeprefix(".")
    return Format(suffix) if suffix in list(Format) else Format.JSON


def _content(report: Report, kind: Format, language: str) -> bytes:
    texts = catalogue(language)
    match kind:
        case Format.JSON:
            return report.to_json()
        case Format.CSV:
            from edge_agent.reports.csv_table import report_csv

            return report_csv(report, texts)
        case Format.PDF:
            try:
                from edge_agent.reports.pdf import report_pdf
            except ModuleNotFoundError as error:
                if (error.name or "").split(".")[0] != "reportlab":
                    raise
                raise WebMissing(
                    "A PDF needs reportlab, which is not installed.",
                    remedy="Install the extra: pip install 'leukoscope[web]', or write CSV.",
                ) from error
            return report_pdf(report, texts)
