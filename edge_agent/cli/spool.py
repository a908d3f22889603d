"""``edge-agent spool``: the messages that wait for the broker, and those that are quarantined."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated
from uuid import UUID

import typer
from pydantic_core import from_json, to_json
from rich.progress import track

from edge_agent.cli.state_folder import ConfigOption, state_folder
from edge_agent.cli.terminal import errors
from edge_agent.errors import ConfigError, MessageDamaged
from edge_agent.spool.folder import FILE
from edge_agent.spool.offline import open_for_reading, summarize
from edge_agent.spool.offline import purge as purge_spool
from edge_agent.spool.rows import DamagedRow, printable, read_quarantine, read_rows

EXIT_SOME_DAMAGED = 3

spool = typer.Typer(help="Look at the messages that wait for the broker.", no_args_is_help=True)


@spool.command()
def status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say how many messages wait and what became of the others. The agent may run meanwhile."""
    path = state_folder(config) / FILE
    figures = summarize(path)
    with _standard_output() as target:
        if as_json:
            target.write(json.dumps({"spool": str(path), **figures}).encode() + b"\n")
            return
        target.write(f"{printable(str(path))}\n".encode())
        for name, value in figures.items():
            shown = ", ".join(map(printable, value)) if isinstance(value, list) else "" if value is None else str(value)
            target.write(f"  {name:<19} {shown}".rstrip().encode() + b"\n")


@spool.command()
def export(
    config: ConfigOption = None,
    file: Annotated[
        Path | None, typer.Option(help="A spool's file, such as one that was set aside; else the agent's own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; else standard output.", metavar="FILE")] = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="The messages in quarantine, with code and reason, instead.")
    ] = False,
) -> None:
    """Write all messages that wait, one JSON object with topic and payload per line. Nothing is removed.

    A payload that is not JSON is written as base64, with a note. Exits with 3 if there is any, or if the file is
    damaged and could not be read to its end.
    """
    path = state_folder(config) / FILE if file is None else file.expanduser()
    source = _quarantined if quarantined else _waiting
    count = damaged = 0
    breaks: list[sqlite3.DatabaseError] = []
    with open_for_reading(path) as connection:
        if out is not None and out.exists() and out.samefile(path):
            raise ConfigError(f"{out} is the spool itself.", remedy="Give another file.")
        with _standard_output() if out is None else _file(out.expanduser()) as target:
            records = source(connection, breaks)
            for record in track(records, "Exporting", console=errors, transient=True, disable=out is None):
                target.write(to_json(record) + b"\n")
                count += 1
                damaged += "note" in record
    errors.print(f"{count} messages exported from {printable(str(path))}.", markup=False)
    if damaged:
        errors.print(f"{damaged} of them are damaged; their note says how.", markup=False)
    if breaks:
        errors.print(f"The file is damaged and there may have been more messages: {breaks[0]}.", markup=False)
    if damaged or breaks:
        raise typer.Exit(EXIT_SOME_DAMAGED)


@spool.command()
def purge(
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete all messages that wait, while the agent is stopped.

    They count as dropped, and the agent reports them when it starts. Messages in quarantine stay.
    """
    folder = state_folder(config)
    waiting = summarize(folder / FILE)["waiting_count"]
    if not yes:
        typer.confirm(f"Delete all {waiting} messages that wait in {printable(str(folder))}?", abort=True)
    count = purge_spool(folder)
    with _standard_output() as target:
        target.write(f"{count} messages deleted.\n".encode())


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
    """A payload as its JSON, or as base64 with a note."""
    raw = payload if isinstance(payload, bytes) else str(payload).encode(errors="surrogateescape")
    try:
        found = from_json(raw, allow_inf_nan=False)
        to_json(found, inf_nan_mode="strings")
    except ValueError as error:
        encoded = base64.b64encode(raw).decode()
        return {"payload_base64": encoded, "note": note or f"The payload is not JSON: {error}."}
    return {"payload": found} if note is None else {"payload": found, "note": note}


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    """Standard output as bytes: UTF-8, whatever the terminal has. Raises ``ConfigError`` where it cannot be written."""
    try:
        yield sys.stdout.buffer
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ConfigError(
            f"Standard output cannot be written: {error.strerror}.", remedy="Give a file with room, with --out."
        ) from error


@contextmanager
def _file(path: Path) -> Iterator[IO[bytes]]:
    """A new file. Raises ``ConfigError``."""
    try:
        with path.open("wb") as target:
            yield target
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.", remedy="Give another file.") from error
