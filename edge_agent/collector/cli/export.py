"""``edge-agent-collector export``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from edge_agent.cli.arguments import expand_path
from edge_agent.cli.terminal import EXIT_SOME_UNREAD, NOTICE, errors
from edge_agent.collector.cli.arguments import ConfigOption
from edge_agent.collector.config import load_config
from edge_agent.collector.database import open_database
from edge_agent.collector.export.files import write_table
from edge_agent.collector.export.selection import Selection, check_selection, open_reading


class Format(StrEnum):
    """Kind of file."""

    CSV = "csv"
    PARQUET = "parquet"
    FHIR = "fhir"


class TableName(StrEnum):
    """Table to export."""

    RESULTS = "results"
    EVENTS = "events"
    REPORTS = "reports"


def parse_moment(text: str) -> datetime:
    """Parse a day, which stands for its beginning, or a moment; in UTC unless the text says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-11-29, or 2026-11-29T14:30:00Z, or with another offset such as +01:00"
        ) from error
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise typer.BadParameter(f"{text!r} is outside of the calendar") from error


def export(  # noqa: PLR0913, PLR0917 - as many as the command has options; Typer calls it by name
    out: Annotated[
        Path,
        typer.Option(
            help="File to write, or '-' for standard output (CSV only); for FHIR a folder, which may exist.",
            metavar="PATH",
            parser=expand_path,
        ),
    ],
    file_format: Annotated[Format, typer.Option("--format", help="Kind of file.")] = Format.CSV,
    table: Annotated[
        TableName, typer.Option(help="What to export; FHIR has readings and reports.")
    ] = TableName.RESULTS,
    since: Annotated[
        datetime | None,
        typer.Option("--from", help="Day or time (UTC) of the first row.", metavar="TIME", parser=parse_moment),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--to", help="Day or time (UTC) before which rows end.", metavar="TIME", parser=parse_moment),
    ] = None,
    site: Annotated[str | None, typer.Option(help="Only this site.", metavar="NAME")] = None,
    device: Annotated[str | None, typer.Option(help="Only this device.", metavar="NAME")] = None,
    specimen: Annotated[str | None, typer.Option(help="Only this specimen.", metavar="ID")] = None,
    transaction: Annotated[
        bool, typer.Option("--transaction", help="FHIR: Bundles that a server stores, each resource once.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Write what is stored as CSV, Parquet or FHIR R4. Nothing is changed or removed.

    Rows from --from on and before --to, by the device's clock. A file appears under its name when it is whole. Exits
    with 3 if a reading could not be expressed in FHIR. For research only.
    """
    _check_options(out, file_format, table, since, until, specimen, transaction=transaction)
    selection = Selection(since, until, site, device, specimen)
    with open_reading(open_database(load_config(config).database)) as connection:
        check_selection(connection, selection)
        if file_format is Format.FHIR:
            _export_fhir(connection, selection, out, transaction=transaction)
            return
        is_stdout = str(out) == "-"
        rows_count = write_table(
            connection,
            table.value,
            selection,
            sys.stdout.buffer if is_stdout else out,
            parquet=file_format is Format.PARQUET,
        )
    _say(
        f"{_counted(rows_count, table.value.removesuffix('s'))} exported to {'standard output' if is_stdout else out}."
    )
    if not rows_count:
        _say("No row matches, so that the file has its columns only.")
    _say(NOTICE)


def _check_options(
    out: Path,
    file_format: Format,
    table: TableName,
    since: datetime | None,
    until: datetime | None,
    specimen: str | None,
    *,
    transaction: bool,
) -> None:
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("--to must be later than --from")
    if str(out) == "-" and file_format is not Format.CSV:
        raise typer.BadParameter("only CSV can go to standard output; name a path with --out")
    if file_format is Format.FHIR and table is not TableName.RESULTS:
        raise typer.BadParameter("FHIR has readings and reports in one; leave --table out")
    if transaction and file_format is not Format.FHIR:
        raise typer.BadParameter("--transaction is for FHIR only")
    if specimen is not None and table is TableName.EVENTS:
        raise typer.BadParameter("events belong to no specimen; leave --specimen out")


def _export_fhir(connection: Connection, selection: Selection, out: Path, *, transaction: bool) -> None:
    # The models of FHIR take a second to load.
    from edge_agent.collector.export.fhir.bundles import write_bundles

    written = write_bundles(connection, selection, out, transaction=transaction)
    _say(
        f"{_counted(written.readings_count, 'reading')} of {_counted(written.slides_count, 'slide')} exported to "
        f"{_counted(written.files_count, 'Bundle')} in {out}."
    )
    if written.without_slide_count:
        count = _counted(written.without_slide_count, "reading")
        _say(f"Left out because they belong to no slide: {count}. CSV and Parquet have them.")
    _say(NOTICE)
    if written.refused_count:
        count = _counted(written.refused_count, "reading")
        _say(f"Left out because FHIR cannot express them: {count}; the first: {written.first_fault}")
        raise typer.Exit(EXIT_SOME_UNREAD)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _say(text: str) -> None:
    errors.print(text, markup=False, soft_wrap=True)
