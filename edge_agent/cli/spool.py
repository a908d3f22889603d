"""``edge-agent spool``: the messages that wait for the broker, and those that are quarantined."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pydantic_core import from_json, to_json
from rich.progress import track

from edge_agent.cli.arguments import expand_path
from edge_agent.cli.state_folder import ConfigOption, state_folder
from edge_agent.cli.terminal import EXIT_SOME_UNREAD, errors, output, write_json_line
from edge_agent.errors import ConfigError, MessageDamaged
from edge_agent.spool.offline import purge as purge_spool
from edge_agent.spool.offline import summarize
from edge_agent.spool.place import FILE
from edge_agent.spool.reading import open_for_reading
from edge_agent.spool.rows import DamagedRow, printable, read_quarantine, read_rows

spool = typer.Typer(help="Show, export or purge the messages that wait for the broker.", no_args_is_help=True)


@spool.command()
def status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show how many messages wait, and counts of the others. The agent may be running."""
    path = state_folder(config) / FILE
    figures = summarize(path)
    if as_json:
        write_json_line(json.dumps({"spool": str(path), **figures}))
        return
    output.print(str(path), markup=False)
    for name, value in figures.items():
        shown = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
        output.print(f"  {name:<19} {shown}".rstrip(), markup=False)


@spool.command()
def export(
    config: ConfigOption = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="A spool's file, such as a renamed one. Default: the agent's own.",
            metavar="FILE",
            parser=expand_path,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write. Default: standard output.", metavar="FILE", parser=expand_path)
    ] = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Write the messages in quarantine instead, with code and reason.")
    ] = False,
) -> None:
    """Write all waiting messages, one JSON object with topic and payload per line. Nothing is removed.

    A payload that is not JSON is written as base64, with a note. Exits with 3 if there is one, or if the file is
    damaged and could not be read to the end.
    """
    path = state_folder(config) / FILE if file is None else file
    source = _quarantined if quarantined else _waiting
    count = damaged = 0
    breaks: list[sqlite3.DatabaseError] = []
    with open_for_reading(path) as connection, _target(out, path) as write:
        records = source(connection, breaks)
        for record in track(records, "Exporting", console=errors, transient=True, disable=out is None):
            write(to_json(record).decode())
            count += 1
            damaged += "note" in record
    errors.print(f"{count} messages exported from {path}.", markup=False)
    if damaged:
        errors.print(f"{damaged} of them are damaged, as their notes explain.", markup=False)
    if breaks:
        errors.print(f"The file is damaged, and there may be more messages in it: {breaks[0]}.", markup=False)
    if damaged or breaks:
        raise typer.Exit(EXIT_SOME_UNREAD)


@spool.command()
def purge(
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete all waiting messages, while the agent is stopped.

    They count as dropped, and the agent reports them when it starts. Messages in quarantine stay.
    """
    folder = state_folder(config)
    waiting = summarize(folder / FILE)["waiting_count"]
    if not yes:
        typer.confirm(f"Delete all {waiting} waiting messages in {folder}?", abort=True)
    count = purge_spool(folder)
    output.print(f"{count} messages deleted.")


def _waiting(connection: sqlite3.Connection, breaks: list[sqlite3.DatabaseError]) -> Iterator[dict[str, object]]:
    for row in read_rows(connection, breaks.append):
        if isinstance(row, DamagedRow):
            _, topic, payload, _ = row.values
            yield {"topic": printable(topic), **_as_json(payload, row.reason)}
        else:
            yield {"topic": row.message.topic, **_as_json(row.message.payload)}


def _quarantined(connection: sqlite3.Connection, breaks: list[sqlite3.DatabaseError]) -> Iterator[dict[str, object]]:
    for identity, topic, payload, _, code, reason in read_quarantine(connection, breaks.append):
        is_id = isinstance(identity, bytes) and len(identity) == len(UUID(int=0).bytes)
        yield {
            "id": str(UUID(bytes=identity)) if is_id else printable(identity),  # type: ignore[arg-type]  # as is_id says
            "code": printable(code),
            "reason": printable(reason),
            "topic": printable(topic),
            **_as_json(payload, printable(reason) if code == MessageDamaged.code else None),
        }


def _as_json(payload: object, note: str | None = None) -> dict[str, object]:
    """A payload as JSON, or as base64 with a note."""
    raw = payload if isinstance(payload, bytes) else str(payload).encode(errors="surrogateescape")
    try:
        found = from_json(raw, allow_inf_nan=False)
        # A number such as 1e999 becomes infinite, which is not JSON.
        json.dumps(found, allow_nan=False)
    except ValueError as error:
        encoded = base64.b64encode(raw).decode()
        return {"payload_base64": encoded, "note": note or f"The payload is not JSON: {error}."}
    return {"payload": found} if note is None else {"payload": found, "note": note}


@contextmanager
def _target(out: Path | None, spool_file: Path) -> Iterator[Callable[[str], None]]:
    """A function that writes lines of JSON to standard output or to a file, but never over the spool.

    Raises ``ConfigError`` if that file cannot be written.
    """
    if out is None:
        yield write_json_line
        return
    # Not 'resolve', which has an error of its own for a link to itself.
    real, spool_real = Path(os.path.realpath(out)), Path(os.path.realpath(spool_file))
    try:
        if real.parent == spool_real.parent and real.name.startswith(spool_real.name):
            raise ConfigError(f"{out} belongs to the spool.", remedy="Give another file.")
        with out.open("w", encoding="utf-8") as file:
            yield lambda line: print(line, file=file)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}.", remedy="Give another file.") from error
