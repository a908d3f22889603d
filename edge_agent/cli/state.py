"""``edge-agent spool`` and ``edge-agent audit``: what the agent keeps on the disk."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from edge_agent.cli.terminal import errors, output
from edge_agent.config import load_config, system_config
from edge_agent.errors import ConfigError, SpoolCorrupt
from edge_agent.events import audit_log
from edge_agent.spool.file import open_for_reading, read_counters, read_rows
from edge_agent.spool.folder import FILE
from edge_agent.spool.settings import default_state_folder
from edge_agent.spool.sqlite import purge as purge_spool

spool = typer.Typer(help="Look at the messages that wait for the broker.", no_args_is_help=True)
audit = typer.Typer(help="Look at the log of what happened to the device.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The agent.toml to go by; else the device's own.", metavar="FILE")
]


def _folder(config: Path | None) -> Path:
    config = config or system_config()
    return default_state_folder() if config is None else load_config(config).state.folder


@spool.command()
def status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say how many messages wait and what became of the others. The agent may run meanwhile."""
    path = _folder(config) / FILE
    with open_for_reading(path) as connection:
        try:
            counters = read_counters(connection)
            waiting, size, oldest = connection.execute(
                "SELECT count(*), coalesce(sum(length(payload)), 0), min(accepted_s) FROM messages"
            ).fetchone()
        except sqlite3.DatabaseError as error:
            raise SpoolCorrupt(
                f"{path} cannot be read: {error}.", remedy="The agent sets a damaged file aside when it starts."
            ) from error
    figures = {
        "waiting_count": waiting,
        "stored_bytes": size,
        "oldest_age_s": None if oldest is None else round(max(0.0, counters.clock_s - oldest), 1),
        "accepted_count": counters.accepted,
        "acknowledged_count": counters.acknowledged,
        "refused_count": counters.refused,
        "dropped_count": counters.dropped,
        "set_aside": sorted(each.name for each in path.parent.glob("spool.corrupt-*.db")),
    }
    if as_json:
        sys.stdout.write(json.dumps({"spool": str(path), **figures}) + "\n")
        return
    output.print(str(path), markup=False)
    for name, value in figures.items():
        output.print(f"  {name:<19} {'' if value is None else value}", markup=False)


@spool.command()
def export(
    config: ConfigOption = None,
    file: Annotated[
        Path | None, typer.Option(help="A spool's file, such as one that was set aside; else the agent's own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; else standard output.", metavar="FILE")] = None,
) -> None:
    """Write all messages that wait, one JSON object with topic and payload per line. Nothing is removed."""
    path = file if file is not None else _folder(config) / FILE
    count = 0
    try:
        with open_for_reading(path) as connection, out.open("w") if out else sys.stdout as target:
            for row in track(read_rows(connection), "Exporting", console=errors, transient=True, disable=out is None):
                payload = json.loads(row.message.payload)
                target.write(json.dumps({"topic": row.message.topic, "payload": payload}, ensure_ascii=False) + "\n")
                count += 1
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}.", remedy="Give another file.") from error
    errors.print(f"{count} messages exported from {path}.", markup=False)


@spool.command()
def purge(
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete all messages that wait, while the agent is stopped. They count as dropped, and its next start tells so."""
    folder = _folder(config)
    if not yes:
        typer.confirm(f"Delete all messages that wait in {folder}?", abort=True)
    output.print(f"{purge_spool(folder)} messages deleted.")


@audit.command()
def verify(
    config: ConfigOption = None,
    file: Annotated[Path | None, typer.Option(help="An audit log; else the agent's own.")] = None,
) -> None:
    """Check that no entry of the audit log was changed, removed or put in; else exit with 1 and name the line."""
    path = file if file is not None else _folder(config) / audit_log.FILE
    position = audit_log.verify_audit(path)
    if position is None:
        output.print(f"{path}: empty", markup=False)
    else:
        output.print(f"{path}: ok, {position.seq + 1} entries, the last has sha256 {position.sha256}", markup=False)
