"""``edge-agent check-config``: checks a configuration before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.analysis.settings import AUTO
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.terminal import errors, output
from edge_agent.config import load_config
from edge_agent.config.examination import examine_config
from edge_agent.errors import ConfigError


def check_config(
    file: Annotated[Path, typer.Argument(help="The agent.toml to check.", metavar="FILE", parser=expand_path)],
) -> None:
    """Check a configuration and the files it names, without starting anything.

    Each problem is named with its line and what to do. Exits with 2 if there is an error, and with 0 if there are only
    warnings.
    """
    found = examine_config(file)
    for problem in found:
        if problem.is_warning:
            errors.print(f"warning: {problem.describe(file)}", markup=False, style="yellow")
    wrong = [problem.describe(file) for problem in found if not problem.is_warning]
    if wrong:
        count = "1 error" if len(wrong) == 1 else f"{len(wrong)} errors"
        raise ConfigError("\n".join([f"{count} in {file}", *wrong]))
    warnings = len(found)
    note = "" if not warnings else f", with {warnings} warning{'s' if warnings > 1 else ''}"
    output.print(f"{file}: ok{note}", markup=False)
    settings = load_config(file).analysis
    if AUTO in (settings.bundle, settings.threads_count):
        output.print(
            f"What is 'auto' in [analysis] is chosen when the agent starts, for {settings.target_ms:g} ms; "
            "'edge-agent doctor' tries it now.",
            markup=False,
        )
