"""``edge-agent audit``: the log of what happened to the device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.arguments import expand_path
from edge_agent.cli.state_folder import ConfigOption, state_folder
from edge_agent.cli.terminal import output
from edge_agent.events.audit_segments import FILE
from edge_agent.events.audit_verify import verify_audit

audit = typer.Typer(help="Verify the audit log, which records what happened to the device.", no_args_is_help=True)


@audit.command()
def verify(
    config: ConfigOption = None,
    file: Annotated[
        Path | None,
        typer.Option(help="An audit log to check instead of the device's own.", metavar="FILE", parser=expand_path),
    ] = None,
) -> None:
    """Check that no entry of the audit log was changed, removed or inserted.

    Older files of the log are checked too. Exits with 1 and names the file and line if anything is wrong.
    """
    path = file if file is not None else state_folder(config) / FILE
    found = verify_audit(path)
    if found.oldest is None or found.last is None:
        output.print(f"{path}: ok, empty", markup=False)
    else:
        files = "" if len(found.files) == 1 else f" in {len(found.files)} files"
        deleted = "" if found.oldest.seq == 0 else "; older entries were deleted to make room"
        output.print(f"{path}: ok, {found.entries_count} entries{files}", markup=False)
        output.print(f"  oldest: entry {found.oldest.seq}, {found.oldest_at or 'undated'}{deleted}", markup=False)
        output.print(f"  newest: entry {found.last.seq}, sha256 {found.last.sha256}", markup=False, soft_wrap=True)
    for damaged in found.set_aside:
        output.print(f"  damaged, renamed to: {damaged.name}", markup=False)
