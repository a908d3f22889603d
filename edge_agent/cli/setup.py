"""``edge-agent setup``: asks for the settings of a device, writes ``agent.toml``, and tests it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent import __version__
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.conversation import Conversation
from edge_agent.cli.doctor import doctor
from edge_agent.cli.page_address import show_address
from edge_agent.cli.prompts import ask
from edge_agent.cli.service_unit import restart_service
from edge_agent.cli.terminal import NOTICE, output
from edge_agent.config import SYSTEM_CONFIG, load_config


def setup(
    config: Annotated[
        Path, typer.Option("--config", help="The agent.toml to write.", metavar="FILE", parser=expand_path)
    ] = SYSTEM_CONFIG,
    try_out: Annotated[bool, typer.Option("--doctor/--no-doctor", help="Run 'edge-agent doctor' afterwards.")] = True,
) -> None:
    """Ask for site, device, broker, camera and bundle, write the configuration, and test it."""
    output.print(f"Leukoscope {__version__}. {NOTICE}", style="bold")
    output.print("Press Enter to accept the answer in brackets. Ctrl+C ends without changing anything.", markup=False)

    def show(line: str) -> None:
        output.print(line, markup=False)

    Conversation(ask, show, config, config.absolute().parent / "credentials").run()
    if config.resolve() == SYSTEM_CONFIG.resolve():
        restart_service(show)
    page = load_config(config)
    if page.web.enabled:
        show_address(page)
    if try_out:
        doctor(config)
