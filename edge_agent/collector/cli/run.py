"""``edge-agent-collector run``."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

import typer

from edge_agent.cli.terminal import set_up_logging
from edge_agent.collector.cli.arguments import ConfigOption
from edge_agent.collector.config import load_config
from edge_agent.collector.service import Collector, run_until_signal
from edge_agent.daemon.notify import make_notifier


def run(
    config: ConfigOption = None,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Serve /metrics, as prometheus.enabled = true does.")
    ] = False,
) -> None:
    """Store what the devices publish, until SIGTERM. Nothing is lost or doubled.

    The tables are created, and changed to what this release needs, when it starts. While the database is gone, messages
    wait at the broker, and the collector comes back by itself.
    """
    settings = load_config(config)
    if prometheus:
        served = settings.prometheus.model_copy(update={"enabled": True})
        settings = settings.model_copy(update={"prometheus": served})
    set_up_logging(settings.log.level)
    # The collector itself reports each migration.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    asyncio.run(run_until_signal(Collector(settings, notifier=make_notifier())))
