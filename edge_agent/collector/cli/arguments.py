"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.arguments import expand_path

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        help="A collector.toml. Default: /etc/leukoscope/collector.toml, if there is one.",
        metavar="FILE",
        parser=expand_path,
    ),
]
