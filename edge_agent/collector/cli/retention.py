"""``edge-agent-collector retention``."""

from __future__ import annotations

from datetime import UTC, datetime

from edge_agent.cli.terminal import output
from edge_agent.collector.cli.arguments import ConfigOption
from edge_agent.collector.config import load_config
from edge_agent.collector.database import database_errors, open_database
from edge_agent.collector.retention import apply_retention
from edge_agent.collector.schema import require_schema


def retention(config: ConfigOption = None) -> None:
    """Delete what is older than [retention] wants to keep, now. A running collector does so every hour."""
    settings = load_config(config)
    engine = open_database(settings.database)
    with database_errors(engine):
        require_schema(engine)
        done = apply_retention(engine, settings.retention, datetime.now(UTC))
    for table, days in settings.retention.days().items():
        kept = "kept for ever" if days is None else f"kept for {days} days"
        deleted = sum(count for name, count in done.items() if name in {table, f"{table}_default"})
        output.print(f"{table:<9} {kept}; deleted now: {deleted} partitions or rows", markup=False)
