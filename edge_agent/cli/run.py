"""``edge-agent run``: the agent itself."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from edge_agent import __version__
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.terminal import NOTICE
from edge_agent.daemon.signals import SignalQueue

log = logging.getLogger("edge_agent")


def run(
    config: Annotated[
        Path, typer.Option("--config", help="The agent.toml to run with.", metavar="FILE", parser=expand_path)
    ],
    safe_mode: Annotated[
        bool,
        typer.Option(
            "--safe-mode",
            help="If the agent cannot start, stay connected and report why instead of exiting. For services.",
        ),
    ] = False,
) -> None:
    """Run the agent until SIGTERM.

    SIGHUP reloads the configuration, SIGUSR1 takes a reading, SIGUSR2 looks for the camera at once.
    """
    signals = SignalQueue()
    from edge_agent.daemon.journald import make_log_handler
    from edge_agent.daemon.notify import make_notifier
    from edge_agent.daemon.service import Service

    logging.basicConfig(level=logging.INFO, handlers=[make_log_handler()], force=True)
    log.info("leukoscope %s. %s", __version__, NOTICE)
    Service(config, signals, make_notifier(), _set_level, safe_mode).run()


def _set_level(level: str) -> None:
    logging.getLogger().setLevel(level.upper())
