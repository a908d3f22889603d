"""``edge-agent audit``: the log of what happened to the device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.state_folder import ConfigOption, state_folder
from edge_agent.cli.terminal import output
from edge_agent.events import audit_log

audit = typer.Typer(help="Look at the log of what happened to the device.", no_args_is_help=True)


@audit.command()
def verify(
    config: ConfigOption = None,
    file: Annotated[Path | None, typer.Option(help="An audit log; else the agent's own.")] = None,
) -> None:
    """Check that no entry of the audit log was changed, removed or put in; else exit with 1 and name the line."""
    path = file if file is not None else state_folder(config) / audit_log.FILE
    position = audit_log.verify_audit(path)
    if position is None:
        output.print(f"{path}: empty", markup=False)
    else:
        output.print(f"{path}: ok, {position.seq + 1} entries, the last has sha256 {position.sha256}", markup=False)
