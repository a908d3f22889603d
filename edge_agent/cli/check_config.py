"""``edge-agent check-config``: checks a configuration before anything runs by it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.terminal import output
from edge_agent.config import load_config


def check_config(
    file: Annotated[Path, typer.Argument(help="The agent.toml to check.", metavar="FILE")],
) -> None:
    """Check a configuration. Exits with 2 and names line, key and remedy if it is wrong."""
    mqtt = load_config(file).mqtt
    mqtt.password()
    if mqtt.tls is not None:
        mqtt.tls.context()
    output.print(f"{file}: ok", markup=False)
