"""``edge-agent setup``: asks for the settings of a device, writes ``agent.toml``, and tests it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from edge_agent import __version__
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.conversation import Conversation
from edge_agent.cli.doctor import doctor
from edge_agent.cli.terminal import NOTICE, output
from edge_agent.config import SYSTEM_CONFIG
from edge_agent.errors import InputEnded

UNIT = "leukoscope.service"


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

    Conversation(_ask, show, config, config.absolute().parent / "credentials").run()
    if config.resolve() == SYSTEM_CONFIG.resolve():
        restart_service(show)
    if try_out:
        doctor(config)


def _ask(question: str, default: str | None, *, secret: bool = False) -> str:
    try:
        answer: str = typer.prompt(
            question,
            default=default,
            # Without a terminal there is no echo to hide.
            hide_input=secret and sys.stdin.isatty(),
            show_default=not secret and bool(default),
        )
    except typer.Abort as abort:
        # Typer raises this for Ctrl+C and for the end of the input.
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        output.print()
        raise InputEnded("The input ended before the last question; nothing was changed.") from None
    return answer


def restart_service(show: Callable[[str], None], unit: str = UNIT) -> None:
    """Restart the service if it is installed and this is root: a reload would not pass it new secrets."""
    systemctl = shutil.which("systemctl")
    if systemctl is None or os.geteuid() != 0 or not Path("/run/systemd/system").is_dir():
        return
    enabled = subprocess.run([systemctl, "--quiet", "is-enabled", unit], check=False, capture_output=True)
    if enabled.returncode != 0:
        return
    done = subprocess.run([systemctl, "restart", unit], check=False, capture_output=True, text=True, errors="replace")
    if done.returncode == 0:
        show(f"{unit} was restarted and now runs with this configuration.")
    else:
        show(f"{unit} could not be restarted: {done.stderr.strip()}")
