"""Finds the agent's state folder, for commands that read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.arguments import expand_path
from edge_agent.config import load_config, system_config
from edge_agent.spool.settings import default_state_folder

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The agent.toml to use instead of the device's own.", metavar="FILE", parser=expand_path
    ),
]


def state_folder(config: Path | None) -> Path:
    """The state folder of ``config``, else of the device's configuration, else the default. Raises ``ConfigError``."""
    config = config or system_config()
    return default_state_folder() if config is None else load_config(config).state.folder
